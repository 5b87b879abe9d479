"""A real HTTP server whose answers a test writes down: the network's other end, nothing of ours."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; a body longer than the server keeps is only counted."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    body_bytes: int
    body_sha256: str = ""


@dataclass(frozen=True)
class Answer:
    """What to say; `cut_after` closes the connection after so many bytes of the body (-1: says nothing)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None


Reply = Answer | Callable[[Seen], Answer]


class TalkingServer:
    """Answers by method and path: each reply once in turn, the last one for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}

    def on(self, method: str, path: str, *replies: Reply) -> None:
        self._replies[method, path] = list(replies)

    def answer(self, request: Seen) -> Answer:
        self.seen.append(request)
        replies = self._replies.get((request.method, request.path))
        if not replies:
            return problem(404, "not_found", f"nothing is written down for {request.method} {request.path}")
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply if isinstance(reply, Answer) else reply(request)


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def problem(
    status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None, **headers: str
) -> Answer:
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    return as_json({**body, "errors": errors or [], "request_id": "r1"}, status, **headers)


def resource(
    status: str = "queued", *, job_id: str = "j1", done_rows: int = 0, **changes: Any
) -> dict[str, Any]:
    """A job resource as the server of the design sends it."""
    return {
        "id": job_id,
        "name": None,
        "status": status,
        "done": status in {"succeeded", "failed", "cancelled"},
        "retry_of": None,
        "model": {"name": "wine", "version": 3, "sha256": "ab" * 32},
        "rows": {"total": 1000, "done": done_rows, "failed": 0},
        "chunks": {"total": 4, "pending": 0, "running": 1, "done": 3, "failed": 0, "retried": 0},
        "rows_per_second": 41000.0,
        "eta_seconds": 12.0,
        "created_at": "2026-11-23T08:00:00Z",
        "started_at": "2026-11-23T08:00:01Z",
        "finished_at": None,
        "expires_at": "2026-11-30T08:00:00Z",
        "input": {"name": "data.csv", "format": "csv", "bytes": 12345, "sha256": "cd" * 32},
        "error": None,
        "errors_preview": [],
        "warnings": [],
        "tags": [],
        "links": {"self": f"/jobs/{job_id}"},
        **changes,
    }


def accepted(request: Seen) -> Answer:
    """The reply to a submission that arrived whole."""
    source = {"name": "data.csv", "format": "csv", "bytes": request.body_bytes, "sha256": request.body_sha256}
    return as_json(resource(input=source), 202)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.talking = TalkingServer(f"http://127.0.0.1:{self.server_port}")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of some tests; anything else is a mistake to be seen."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        address = urlsplit(self.path)
        body, size, digest = self._body()
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.talking.answer(
            Seen(self.command, address.path, query, headers, body, size, digest)
        )
        if answer.cut_after == -1:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut_after])
        self.close_connection = self.close_connection or answer.cut_after is not None

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def _body(self) -> tuple[bytes, int, str]:
        blocks, size, hasher = [], 0, hashlib.sha256()
        for block in self._blocks():
            hasher.update(block)
            size += len(block)
            if size <= 1 << 20:
                blocks.append(block)
        return b"".join(blocks), size, hasher.hexdigest()

    def _blocks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            block = self.rfile.read(min(left, 1 << 16))
            left -= len(block)
            yield block

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing: pytest shows what matters."""


@contextmanager
def talking_server() -> Iterator[TalkingServer]:
    """A server on a free port of the loopback."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.talking
        finally:
            server.shutdown()
            thread.join()
