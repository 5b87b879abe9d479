"""The name of a request: the client's own ``X-Request-ID`` if it will do, and in every log line meanwhile."""

from __future__ import annotations

import re
from contextvars import ContextVar

import structlog
from uuid6 import uuid7

# What people use (UUIDs, trace ids), and nothing that could break a line of a log or a header.
_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+@-]{0,127}")
# A whole line of a head, and none behind it that would go on with it.
_LINE = re.compile(rb"\r\nx-request-id:([^\r\n]*)(?=\r\n[^ \t])", re.IGNORECASE)
# A thread serves one request after the other; what it starts has a context, and so a name, of its own.
_current: ContextVar[str] = ContextVar("request_id", default="")


def begin(sent: str) -> str:
    """Name the request that this thread serves from now on; ``sent`` is the client's wish."""
    request_id = _accepted(sent)
    _current.set(request_id)
    return request_id


def named_in(head: bytes) -> str:
    """The name of a request that never reaches the app: what it has of a head may be broken, or too long.

    It is the client's where exactly one line says so, that was read to its end.
    """
    found = _LINE.findall(head)
    return _accepted(found[0].strip(b" \t").decode("latin-1") if len(found) == 1 else "")


def _accepted(sent: str) -> str:
    return sent if _ACCEPTED.fullmatch(sent) else str(uuid7())


def add_to_log(_logger: object, _method: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """A step of structlog: lines that are written for a request name it."""
    if request_id := _current.get():
        line.setdefault("request_id", request_id)
    return line
