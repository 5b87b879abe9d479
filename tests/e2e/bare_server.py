"""A gunicorn of its own for tests that speak to it by sockets, byte for byte."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from base.database import Database
from models.registry import Registry
from tests.builders import AddedModel, add_slow
from tests.conftest import make_tables
from tests.waiting import wait_until

PATIENT = "rowmill.stack.gunicorn_settings"
SOCKET = "api.sock"
HURRIED = "tests.e2e.hurried_settings"


class Server:
    """A running gunicorn on a socket of its own."""

    def __init__(self, port: int, folder: Path, pid: int) -> None:
        self.port = port
        self.pid = pid  # of the process whose children answer
        self._folder = folder

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def connect_locally(self) -> socket.socket:
        """By the Unix socket."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(str(self._folder / SOCKET))
        return connection

    def log(self) -> str:
        """What it wrote so far."""
        return (self._folder / "server.log").read_text()

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send, and read until the server ends the connection."""
        with self.connect() as connection:
            connection.sendall(request)
            return answered(connection)


def answered(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the last answer before the server ends the connection."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


def has_answer(connection: socket.socket) -> bool:
    """Whether anything was received that nobody has read."""
    waiting = select.poll()  # unlike select.select, for any number of open files
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(0))


@contextmanager
def serving(folder: Path, wine: AddedModel, config: str, **settings: object) -> Iterator[Server]:
    url = f"sqlite:///{folder / 'rowmill.db'}"
    make_tables(url)
    database = Database(url)
    registry = Registry(database, folder / "models")
    wine.put_into(database, registry)
    add_slow(registry, folder)
    database.dispose()
    given = {f"ROWMILL_{name.upper()}": str(value) for name, value in settings.items()}
    with ExitStack() as opened:
        # bound here and handed over: a port that is only looked for may be somebody else's by then
        reachable = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        local = opened.enter_context(socket.socket(socket.AF_UNIX))
        local.bind(str(folder / SOCKET))
        local.listen()
        port = reachable.getsockname()[1]
        handed = [reachable.fileno(), local.fileno()]
        binds = [word for number in handed for word in ("--bind", f"fd://{number}")]
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", f"python:{config}", *binds, "api:create_app()"],
            env={**os.environ, "ROWMILL_DATA_DIR": str(folder), **given},
            stderr=opened.enter_context((folder / "server.log").open("wb")),
            pass_fds=handed,
        )
    server = Server(port, folder, process.pid)
    try:
        wait_until(lambda: is_up(server), "gunicorn serves", 60)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def is_up(server: Server) -> bool:
    try:
        return server.ask(get("/healthz"))[0] == 200
    except OSError:
        return False


def get(address: str, *headers: str) -> bytes:
    return request("GET", address, *headers)


def request(method: str, address: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {address} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
