"""What a strict reader of HTTP/1.1 (RFC 9110, 9112) sees in the bytes that a client sends.

It knows no limits and no routes. Where the standard leaves a choice, it refuses; so a server may refuse more
than this does, and may never accept more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([0-9])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSIONS = rb"(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*"
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)" + _EXTENSIONS)


class Ending(Enum):
    """What stands behind the last whole request."""

    CLEAN = auto()  # nothing
    CLOSED = auto()  # whatever it is: the last request was to be the last
    CUT = auto()  # the beginning of a request
    BAD = auto()  # no request


class Bad(Exception):
    """These bytes are no request."""


class Cut(Exception):
    """The rest is missing."""


@dataclass(frozen=True)
class Request:
    """A whole request. ``name`` is its X-Request-ID, where it has one."""

    method: bytes
    name: str | None
    is_last: bool
    asks_first: bool  # Expect: 100-continue; whether its body is read is for the server to say


@dataclass
class Seen:
    """The whole requests, and how the bytes go on."""

    requests: list[Request] = field(default_factory=list)
    ending: Ending = Ending.CLEAN
    behind: bytes = b""

    @property
    def methods(self) -> list[bytes]:
        """Of the requests, and of what looks like another one."""
        looks_like_head = self.behind.removeprefix(b"\r\n").startswith(b"HEAD ")
        return [request.method for request in self.requests] + ([b"HEAD"] if looks_like_head else [])

    @property
    def most_answers(self) -> int:
        """How many answers there can be: what is no request may be refused, once."""
        return len(self.requests) + (self.ending in (Ending.CUT, Ending.BAD))


def read(sent: bytes) -> Seen:
    """All that a client sent on a connection."""
    seen = Seen()
    while sent:
        try:
            request, sent = _request(sent)
        except (Cut, Bad) as reason:
            seen.ending = Ending.CUT if isinstance(reason, Cut) else Ending.BAD
            seen.behind = sent
            return seen
        seen.requests.append(request)
        if request.is_last:
            seen.ending = Ending.CLOSED
            return seen
    return seen


def _request(data: bytes) -> tuple[Request, bytes]:
    """The first request, and what is behind it."""
    head, rest = _head(data.removeprefix(b"\r\n"))
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Bad
    fields = [_field(each) for each in lines]
    rest = _behind_body(fields, rest, is_old=line[3] == b"0")
    named = _values(fields, b"x-request-id")
    options = {
        option.strip() for value in _values(fields, b"connection") for option in value.lower().split(b",")
    }
    is_last = b"close" in options or (line[3] == b"0" and b"keep-alive" not in options)
    asks_first = bool(_values(fields, b"expect"))
    return Request(
        line[1], named[0].decode("latin-1") if len(named) == 1 else None, is_last, asks_first
    ), rest


def _head(data: bytes) -> tuple[bytes, bytes]:
    """All lines up to the empty one. What is wrong already is not waited for."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if re.search(rb"(?<!\r)\n", head if mark else data):
        raise Bad
    if not mark:
        raise Cut
    return head, rest


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise Bad
    return found[1].lower(), found[2]


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for each, value in fields if each == name]


def _behind_body(fields: list[tuple[bytes, bytes]], data: bytes, *, is_old: bool) -> bytes:
    codings, lengths = _values(fields, b"transfer-encoding"), _values(fields, b"content-length")
    if len(_values(fields, b"host")) > 1:
        raise Bad
    if codings:
        if lengths or is_old or [coding.lower() for coding in codings] != [b"chunked"]:
            raise Bad
        return _behind_chunks(data)
    if not lengths:
        return data
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]):
        raise Bad
    digits = lengths[0].lstrip(b"0") or b"0"
    if len(digits) > 18 or int(digits) > len(data):
        raise Cut
    return data[int(digits) :]


def _behind_chunks(data: bytes) -> bytes:
    while True:
        line, data = _line(data)
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise Bad
        digits = found[1].lstrip(b"0")
        if not digits:
            return _behind_trailers(data)
        size = int(digits, 16) if len(digits) < 17 else len(data)
        end = data[size : size + 2]
        if not b"\r\n".startswith(end):
            raise Bad
        if len(end) < 2:
            raise Cut
        data = data[size + 2 :]


def _behind_trailers(data: bytes) -> bytes:
    while True:
        line, data = _line(data)
        if not line:
            return data
        name, _ = _field(line)
        if name in (b"host", b"content-length", b"transfer-encoding", b"trailer", b"authorization", b"te"):
            raise Bad


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, mark, rest = data.partition(b"\r\n")
    if b"\n" in line or b"\r" in line.removesuffix(b"\r") or (mark and line.endswith(b"\r")):
        raise Bad
    if not mark:
        raise Cut
    return line, rest
