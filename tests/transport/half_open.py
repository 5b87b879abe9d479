"""A proxy in front of a Redis that can let its connections go silent, as a dead router or firewall does."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

BLOCK = 1 << 16


class HalfOpen:
    """Passes TCP connections on to a Unix socket, until :meth:`silence`; later connections work again."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._silence = threading.Event()
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> None:
        """Forward nothing more on the connections that there are, and do not close them either."""
        self._silence.set()
        self._silence = threading.Event()

    def close(self) -> None:
        """Close everything."""
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._sockets += [client, server]
                for source, drain in ((client, server), (server, client)):
                    pump = threading.Thread(target=_pump, args=(source, drain, self._silence), daemon=True)
                    pump.start()


def _pump(source: socket.socket, drain: socket.socket, silence: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK):
            if silence.is_set():
                return  # both ends stay open
            drain.sendall(data)
        if not silence.is_set():
            drain.shutdown(socket.SHUT_WR)
