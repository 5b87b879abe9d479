"""Request bodies as a thread of gunicorn reads them: at a least pace, and not before the app wants them."""

from __future__ import annotations

import socket
import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader

from api.at_once import NotAtOnce, is_asked

# A body may be silent for so long; from then on so many bytes must have come for each second of waiting.
SILENT_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 1024


class PacedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads from the socket as long as its client sends at a pace; raises ``TimeoutError`` if it does not."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.begin(b"")

    def begin(self, received: bytes) -> None:
        """Start with a new request, of which so much was received."""
        self._waited_seconds = 0.0  # for the client, not for whoever reads
        self._bytes = 0
        self.unread(received)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """What comes next; empty at the end."""
        if is_asked():
            raise NotAtOnce  # gunicorn takes the request for longer than it was found to be
        self._check_pace()
        usual = self.sock.gettimeout()
        self.sock.settimeout(min(SILENT_SECONDS, usual or SILENT_SECONDS))
        started = time.monotonic()
        try:
            block: bytes = super().chunk(size_hint)
        finally:
            self._waited_seconds += time.monotonic() - started
            self.sock.settimeout(usual)
        self._bytes += len(block)
        if block:
            self._check_pace()
        return block

    def _check_pace(self) -> None:
        waited = self._waited_seconds
        if waited >= SILENT_SECONDS and self._bytes < waited * LEAST_BYTES_PER_SECOND:
            raise TimeoutError(f"{self._bytes} bytes came in {waited:.0f} s")


class HeldBack:
    """The body of a request with ``Expect: 100-continue``: its client sends it once it is read from.

    A request that is refused before costs neither side the body; the connection ends with the answer, for
    nobody could say what comes next on it.
    """

    def __init__(self, request: Any, sock: socket.socket) -> None:
        self._body = request.body
        self._request = request
        self._sock = sock
        self.is_held_back = True
        self._must_close = request.must_close
        request.must_close = True

    @property
    def failed(self) -> bool:
        """Whether gunicorn must not look for the next request behind this body."""
        return self.is_held_back or bool(self._body.failed)

    def _ask_for_it(self) -> None:
        if self.is_held_back:
            self.is_held_back = False
            self._request.must_close = self._must_close
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read(self, size: int | None = None) -> bytes:
        """As gunicorn's body, and so are the others."""
        self._ask_for_it()
        data: bytes = self._body.read(size)
        return data

    def readline(self, size: int | None = None) -> bytes:
        self._ask_for_it()
        line: bytes = self._body.readline(size)
        return line

    def readlines(self, size: int | None = None) -> list[bytes]:
        self._ask_for_it()
        lines: list[bytes] = self._body.readlines(size)
        return lines

    def __iter__(self) -> Any:
        self._ask_for_it()
        return iter(self._body)
