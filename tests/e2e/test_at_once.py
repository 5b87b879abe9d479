"""Plain rows are answered by the main loop of a server, which no other client may hold up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from sklearn.datasets import load_wine

from tests.builders import AddedModel
from tests.e2e.bare_server import Server, has_answer, request, serving
from tests.waiting import wait_until

ROW = load_wine(as_frame=True).data.iloc[7].to_dict()
PLAIN = json.dumps({"model": "wine", "features": ROW}).encode()
ONE_THREAD = "tests.e2e.one_thread_settings"
SLOW_SECONDS = 60.0  # longer than any of these tests


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, wine: AddedModel) -> Iterator[Server]:
    with warm(tmp_path_factory.mktemp("at_once"), wine) as server:
        yield server


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory, wine: AddedModel) -> Iterator[Server]:
    """A server of this test alone, which leaves it with more to do than others could wait for."""
    with warm(tmp_path_factory.mktemp("alone"), wine) as server:
        yield server


@contextmanager
def warm(folder: Path, wine: AddedModel) -> Iterator[Server]:
    """A server that knows the model already."""
    with serving(folder, wine, ONE_THREAD) as server:
        status, _, body = server.ask(plain())
        assert (status, json.loads(body)["prediction"]) == (200, 0)
        yield server


def plain(*headers: str) -> bytes:
    return request("POST", "/predict", f"Content-Length: {len(PLAIN)}", *headers, body=PLAIN)


def kept(asked: bytes) -> bytes:
    """The request, on a connection that stays open."""
    return asked.replace(b"Connection: close\r\n", b"")


def slow() -> bytes:
    body = json.dumps({"model": "slow", "features": {"seconds": SLOW_SECONDS, "number": 1}}).encode()
    return request("POST", "/predict", f"Content-Length: {len(body)}", body=body)


def test_no_thread_is_needed_for_a_plain_row(alone: Server) -> None:
    with alone.connect() as connection:
        connection.sendall(slow())
        for _ in range(20):
            assert alone.ask(plain())[0] == 200
        status, headers, _ = alone.ask(plain("X-Request-ID: mine"))  # as gateways add it to every request
        assert (status, headers["X-Request-ID"]) == (200, "mine")
        assert not has_answer(connection), "then this shows nothing"


def test_nothing_but_a_plain_row_is_answered_by_the_main_loop(
    tmp_path_factory: pytest.TempPathFactory, wine: AddedModel
) -> None:
    # a limit is counted in Redis, which may have to be waited for
    limited = {"rate_limit_predict": "1000/second"}
    with (
        serving(tmp_path_factory.mktemp("limited"), wine, ONE_THREAD, **limited) as server,
        server.connect() as connection,
    ):
        connection.sendall(slow())
        endless = request("GET", "/", "X-Endless: " + "y" * (70 << 10))[:-4]
        assert server.ask(endless)[0] == 431  # by the main loop
        assert not has_answer(connection), "then this shows nothing"


def test_what_is_not_plain_gets_its_answer_from_a_thread(server: Server) -> None:
    assert server.ask(plain("Content-Encoding: identity"))[0] == 200
    broken = request("POST", "/predict", "Content-Length: 1", body=b"{")
    assert server.ask(broken)[0] == 400
    # gunicorn and the main loop may disagree on where the request ends; then gunicorn has the last word
    twice = request("POST", "/predict", "Content-Length: 2", "Content-Length: 99", body=b"{}")
    assert server.ask(twice)[0] == 400


def test_a_connection_is_kept_from_one_kind_to_the_other(server: Server) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.connect()
        sock = connection.sock
        for headers in ({}, {"Content-Encoding": "identity"}, {}):
            connection.request("POST", "/predict", PLAIN, headers)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["prediction"]) == (200, 0)
            assert connection.sock is sock


def test_requests_that_come_together_are_all_answered(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(kept(plain()) * 5 + plain())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 6


def test_every_request_is_counted_once(server: Server) -> None:
    before = counted(server)
    for asked in (plain(), plain("Content-Encoding: identity"), plain()):
        assert server.ask(asked)[0] == 200
    wait_until(lambda: counted(server) == (before[0] + 3, 0), "three more are counted, and no error")


def counted(server: Server) -> tuple[int, int]:
    _, _, body = server.ask(request("GET", "/stats"))
    routes = json.loads(body)["routes"]
    found = next(route for route in routes if route["route"] == "POST /predict")
    return found["requests"], found["errors"]


def test_a_client_that_reads_no_answers_holds_nobody_up(alone: Server) -> None:
    with deaf_client(alone) as deaf:
        flood(deaf)
        assert alone.ask(plain())[0] == 200


def deaf_client(server: Server) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.settimeout(1)
    return connection


def flood(connection: socket.socket) -> None:
    """Send requests until the server takes no more."""
    with suppress(OSError):
        while True:
            connection.sendall(kept(plain()))
