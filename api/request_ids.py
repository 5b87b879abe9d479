"""The name of a request: the client's own ``X-Request-ID`` if it will do, and in every log line meanwhile."""

from __future__ import annotations

import re
from contextvars import ContextVar

import structlog
from uuid6 import uuid7

# What people use (UUIDs, trace ids), and nothing that could break a line of a log or a header.
_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+@-]{0,127}")
# A thread serves one request after the other; what it starts has a context, and so a name, of its own.
_current: ContextVar[str] = ContextVar("request_id", default="")


def begin(sent: str) -> str:
    """Name the request that this thread serves from now on; ``sent`` is the client's wish."""
    request_id = sent if _ACCEPTED.fullmatch(sent) else str(uuid7())
    _current.set(request_id)
    return request_id


def add_to_log(_logger: object, _method: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """A step of structlog: lines that are written for a request name it."""
    if request_id := _current.get():
        line.setdefault("request_id", request_id)
    return line
