"""One client on one connection: sends an exchange's pieces, and hears what comes back."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fuzz.wire.exchanges import End, Exchange

# So long the server may take for anything here, on however busy a machine.
PATIENCE_SECONDS = 60.0
BETWEEN_PACKETS_MS = 1
DEAF_MS = 300


@dataclass
class Heard:
    """What the client received. ``ended``: the server ended the connection, and all had been sent."""

    received: bytearray = field(default_factory=bytearray)
    ended: bool = False
    broken: bool = False
    hung: bool = False


def converse(port: int, exchange: Exchange, is_enough: Callable[[bytes], bool]) -> Heard:
    """``is_enough`` tells whether a client that reads the answers one by one would wait for more."""
    heard = Heard()
    with socket.socket() as sock:
        if exchange.end is End.DEAF:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        deadline = time.monotonic() + PATIENCE_SECONDS
        for piece in exchange.pieces:
            _send(sock, piece, heard, deadline, listens=exchange.end is not End.DEAF)
        _finish(sock, exchange.end, heard, deadline, is_enough)
    return heard


def _send(sock: socket.socket, piece: bytes, heard: Heard, deadline: float, *, listens: bool) -> None:
    """Send, and read meanwhile, or both sides may wait for each other."""
    rest = memoryview(piece)
    while rest and not heard.broken and not heard.ended and _has_time(heard, deadline):
        events = select.POLLOUT | (select.POLLIN if listens else 0)
        happened = _poll(sock, events, 1000 if listens else DEAF_MS)
        if happened & select.POLLIN:
            _receive(sock, heard)
        if happened & (select.POLLERR | select.POLLHUP):
            heard.broken = True
        elif happened & select.POLLOUT:
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                continue
            except OSError:
                heard.broken = True
        elif not listens:
            heard.broken = True  # its answers fill the connection: it sends no more
    if listens and not heard.broken and not heard.ended and _poll(sock, select.POLLIN, BETWEEN_PACKETS_MS):
        _receive(sock, heard)
    if heard.ended:
        heard.broken = True  # perhaps not all was sent


def _finish(
    sock: socket.socket, end: End, heard: Heard, deadline: float, is_enough: Callable[[bytes], bool]
) -> None:
    if end is End.RESET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif end is End.DEAF:
        _poll(sock, 0, DEAF_MS)
    elif end is not End.CLOSE:
        if end is End.HALF and not heard.broken:
            sock.shutdown(socket.SHUT_WR)
        while not heard.ended and not heard.broken and _has_time(heard, deadline):
            if end is End.ENOUGH and is_enough(bytes(heard.received)):
                return
            if _poll(sock, select.POLLIN, 1000):
                _receive(sock, heard)


def _receive(sock: socket.socket, heard: Heard) -> None:
    try:
        block = sock.recv(1 << 16)
    except BlockingIOError:
        return
    except OSError:
        heard.broken = True
        return
    heard.received += block
    heard.ended = not block


def _poll(sock: socket.socket, events: int, milliseconds: int) -> int:
    waiting = select.poll()
    waiting.register(sock, events)
    happened = waiting.poll(milliseconds)
    return happened[0][1] if happened else 0


def _has_time(heard: Heard, deadline: float) -> bool:
    heard.hung = time.monotonic() > deadline
    return not heard.hung
