"""A strict reader of the answers on a connection."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) [\t\x20-\x7e]*")
_FIELD = re.compile(rb"(" + _TOKEN + rb"): ([\t\x20-\x7e\x80-\xff]*)")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class NotHttp(Exception):
    """What a server may never send."""


class Unfinished(Exception):
    """The rest of an answer is missing."""


@dataclass(frozen=True)
class Answer:
    """A whole answer to a request, which is not an interim one."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the server says that none follows."""
        return self.fields.get(b"connection", b"").lower() == b"close"

    @property
    def name(self) -> str:
        """Its X-Request-ID."""
        return self.fields.get(b"x-request-id", b"").decode("latin-1")


def read(received: bytes, methods: Sequence[bytes]) -> tuple[list[Answer], bytes]:
    """The whole answers to requests with these methods, and what is there of another one.

    Raises NotHttp.
    """
    answers: list[Answer] = []
    while received:
        method = methods[len(answers)] if len(answers) < len(methods) else b"GET"
        try:
            answer, rest = _answer(received, method)
        except Unfinished:
            return answers, received
        received = rest
        if answer.status >= 200:
            answers.append(answer)
        elif answer.status != 100:
            raise NotHttp(f"an interim answer {answer.status}")
    return answers, b""


def _answer(data: bytes, method: bytes) -> tuple[Answer, bytes]:
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        if not b"HTTP/1.".startswith(data[:7]):
            raise NotHttp(repr(data[:200]))
        raise Unfinished
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    found = [_FIELD.fullmatch(line) for line in lines]
    if status is None or None in found:
        raise NotHttp(repr(head[:500]))
    pairs = [(each[1].lower(), each[2]) for each in found if each]
    for name in (b"content-length", b"transfer-encoding", b"connection", b"content-type", b"x-request-id"):
        if [each for each, _ in pairs].count(name) > 1:
            raise NotHttp(f"{name!r} stands twice")
    fields, number = dict(pairs), int(status[1])
    body, rest = _body(fields, rest, has_none=method == b"HEAD" or number < 200 or number in (204, 304))
    return Answer(number, fields, body), rest


def _body(fields: dict[bytes, bytes], data: bytes, *, has_none: bool) -> tuple[bytes, bytes]:
    if has_none:
        return b"", data
    if fields.get(b"transfer-encoding") == b"chunked" and b"content-length" not in fields:
        return _chunks(data)
    if b"transfer-encoding" in fields or not fields.get(b"content-length", b"").isdigit():
        raise NotHttp(f"nobody knows where the answer ends: {fields}")
    length = int(fields[b"content-length"])
    if len(data) < length:
        raise Unfinished
    return data[:length], data[length:]


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, mark, data = data.partition(b"\r\n")
        if not mark:
            raise Unfinished
        if not _SIZE.fullmatch(line):
            raise NotHttp(f"a chunk of {line[:50]!r}")
        size = int(line, 16)
        if len(data) < size + 2:
            raise Unfinished
        if data[size : size + 2] != b"\r\n":
            raise NotHttp("a chunk without an end")
        body, data = body + data[:size], data[size + 2 :]
        if not size:
            return body, data


def is_problem(answer: Answer) -> bool:
    """Whether a refusal has the form that Rowmill's routes, MLflow's protocol or V2 have."""
    try:
        said: dict[str, object] = json.loads(answer.body)
    except ValueError:
        return False
    if answer.fields.get(b"content-type") == b"application/problem+json":
        keys = {"code", "detail", "request_id", "status"}
        return keys <= said.keys() and said["status"] == answer.status and said["request_id"] == answer.name
    return isinstance(said, dict) and ("error" in said or "error_code" in said)


def code_of(answer: Answer) -> str:
    """The code of a problem; empty where there is none."""
    said = json.loads(answer.body) if is_problem(answer) else {}
    return str(said.get("code", ""))
