"""A TCP proxy in front of Redis, which can let connections go deaf as a network does that forgets them."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 1 << 16
POLL_SECONDS = 0.1
# A Redis that is frozen reads nothing; whoever waits for it longer is cut off.
PATIENCE_SECONDS = 5.0


class Proxy(threading.Thread):
    """Forwards connections of a free local port to a Unix socket, until it is closed."""

    def __init__(self, target: Path) -> None:
        super().__init__(name="proxy", daemon=True)
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._deaf: list[socket.socket] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)

    def deafen(self) -> int:
        """Forward nothing any more on today's connections, and tell nobody; returns how many there were.

        Those that went deaf the last time are closed now.
        """
        with self._lock:
            for end in self._deaf:
                end.close()
            self._deaf = list(self._peers)
            for end in self._deaf:
                self._selector.unregister(end)
            self._peers.clear()
            return len(self._deaf) // 2

    def close(self) -> None:
        """Stop, and close every connection."""
        self._over.set()
        self.join()
        for end in (self._door, *self._peers, *self._deaf):
            end.close()
        self._selector.close()

    def run(self) -> None:
        """Accept and forward."""
        while not self._over.is_set():
            for key, _ in self._selector.select(POLL_SECONDS):
                with self._lock:
                    if key.fileobj is self._door:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                        self._forward(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._door.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._target))
        except OSError:  # Redis is away: the client learns it as from a port that refuses
            client.close()
            server.close()
            return
        for end, peer in ((client, server), (server, client)):
            end.settimeout(PATIENCE_SECONDS)
            self._peers[end] = peer
            self._selector.register(end, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        data = b""
        with suppress(OSError):
            data = end.recv(BLOCK_BYTES)
            self._peers[end].sendall(data)
        if not data:
            self._drop(end)

    def _drop(self, end: socket.socket) -> None:
        for gone in (end, self._peers[end]):
            del self._peers[gone]
            self._selector.unregister(gone)
            gone.close()
