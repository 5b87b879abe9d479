"""Hostile and slow clients on real sockets: what they get, and what others get meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.builders import AddedModel
from tests.e2e.bare_server import HURRIED, PATIENT, Server, answered, get, request, serving
from tests.waiting import wait_until

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, wine: AddedModel) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("patient"), wine, PATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, wine: AddedModel) -> Iterator[Server]:
    """A server with little patience, which also thinks that its disk is full."""
    folder = tmp_path_factory.mktemp("hurried")
    with serving(folder, wine, HURRIED, min_free_bytes=1 << 60) as server:
        yield server


SLOW = {
    "silent": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "half a small body": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{",
    "a large body": b"PUT /jobs?model=wine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\na",
    "chunks": b"PUT /jobs?model=wine HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
}


@pytest.mark.parametrize("how", SLOW)
def test_fifty_slow_clients_stop_nobody(patient: Server, how: str) -> None:
    with ExitStack() as open_sockets:
        for _ in range(50):
            open_sockets.enter_context(patient.connect()).sendall(SLOW[how])
        # none of them is cut off before 15 seconds have passed: waiting for that would be too long
        with patient.connect() as connection:
            connection.settimeout(12)
            connection.sendall(get("/healthz"))
            assert answered(connection)[0] == 200


@pytest.mark.parametrize("how", ["half a head", "half a small body"])
def test_half_a_request_is_not_waited_for(hurried: Server, how: str) -> None:
    status, headers, body = hurried.ask(SLOW[how])
    problem = json.loads(body)
    assert (status, problem["status"], problem["code"]) == (408, 408, "request_timeout")
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Request-ID"] == problem["request_id"]


def test_a_silent_connection_is_closed(hurried: Server) -> None:
    with hurried.connect() as connection:
        assert connection.recv(1) == b""


def test_a_body_of_a_byte_now_and_then_is_cut_off(hurried: Server) -> None:
    with hurried.connect() as connection:
        connection.sendall(request("POST", "/predict", f"Content-Length: {MEBIBYTE}"))
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.1):
                try:
                    connection.send(b" ")
                except OSError:
                    return  # cut off

        feeder = threading.Thread(target=trickle)
        feeder.start()
        try:
            status, _, body = answered(connection)
        finally:
            stop.set()
            feeder.join()
    assert (status, json.loads(body)["code"]) == (408, "too_slow")


def test_what_is_refused_is_not_sent(hurried: Server) -> None:
    asked = request("PUT", "/jobs?model=wine", f"Content-Length: {MEBIBYTE}", "Expect: 100-continue")
    status, headers, body = hurried.ask(asked)
    assert (status, json.loads(body)["code"]) == (503, "disk_low")
    assert int(headers["Retry-After"]) > 0
    assert headers["Connection"] == "close"


def test_curl_is_asked_for_what_is_not_refused(patient: Server, wine: AddedModel, tmp_path: Path) -> None:
    header, _, rows = wine.sample.read_text().partition("\n")
    file = tmp_path / "wine.csv"
    file.write_text(f"{header}\n{rows * (2 * MEBIBYTE // len(rows))}")
    command = ["curl", "-sS", "-T", str(file), "-w", "\n%{size_upload} %{http_code}"]
    for model, size in (("wine", file.stat().st_size), ("beer", 0)):
        url = f"http://127.0.0.1:{patient.port}/jobs?model={model}"
        said = subprocess.run([*command, url], capture_output=True, check=True, timeout=60).stdout.decode()
        assert said.splitlines()[-1] == f"{size} {202 if size else 404}"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GARBAGE\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400, "bad_request"),
        (get("/" + "a" * 9000), 414, "address_too_long"),
        (get("/", *(f"X-{number}: y" for number in range(200))), 431, "headers_too_large"),
        (get("/", *(f"X-{number}: y" for number in range(10_000))), 431, "headers_too_large"),
        (get("/", "X-Long: " + "y" * 9000), 431, "headers_too_large"),
        (get("/", "Expect: the unexpected"), 417, "expectation_failed"),
        (request("POST", "/predict", "Transfer-Encoding: rot13"), 501, "unsupported_transfer_coding"),
        (request("POST", "/predict", "Content-Length: -1"), 400, "bad_request"),
        (request("POST", "/predict", "Content-Length: 5", "Transfer-Encoding: chunked"), 400, "bad_request"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_never_reaches_the_app_is_a_problem_too(
    patient: Server, sent: bytes, status: int, code: str
) -> None:
    found, headers, body = patient.ask(sent)
    problem: dict[str, Any] = json.loads(body)
    assert (found, problem["status"], problem["code"]) == (status, status, code)
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["request_id"] == headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("too-long", get("/", "X-Request-ID: too-long", "X-Long: " + "y" * 9000)),
        ("endless", get("/", "X-Request-ID: endless", "X-Endless: " + "y" * (70 << 10))[:-4]),
        (
            "smuggled",
            request("POST", "/", "X-Request-ID: smuggled", "Content-Length: 5", "Content-Length: 6"),
        ),
        ("slow", get("/", "X-Request-ID: slow", "X-Slow: ")[:-4]),
    ],
    ids=lambda value: str(value)[:8],
)
def test_what_never_reaches_the_app_has_the_name_that_its_client_gave(
    hurried: Server, name: str, broken: bytes
) -> None:
    _, headers, body = hurried.ask(broken)
    assert (headers["X-Request-ID"], json.loads(body)["request_id"]) == (name, name)
    wait_until(lambda: f"equest {name} " in hurried.log(), "the log names it")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_huge_body_where_none_is_read_is_refused_at_once(patient: Server, method: str) -> None:
    status, _, body = patient.ask(request(method, "/jobs/x", "Content-Length: 1000000000", body=b"x" * 9999))
    assert (status, json.loads(body)["code"]) == (413, "too_large")


def test_requests_may_follow_each_other_at_once(patient: Server) -> None:
    first = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    posted = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    with patient.connect() as connection:
        connection.sendall(first + posted + first + get("/version"))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200", b"200"]


@pytest.mark.parametrize(
    "header",
    ["SCRIPT_NAME: /elsewhere", "PATH_INFO: /jobs", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: on"],
)
def test_a_client_on_the_unix_socket_is_no_proxy(patient: Server, header: str) -> None:
    with patient.connect_locally() as connection:
        connection.sendall(get("/jobs", header))
        status, _, body = answered(connection)
    assert (status, json.loads(body)["code"]) == (401, "key_required")


def test_a_body_that_nobody_read_is_not_waited_for(patient: Server) -> None:
    asked = b"PUT /jobs?model=wine HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 99999\r\n\r\n"
    with patient.connect() as connection:
        connection.settimeout(4)  # gunicorn itself would wait for five seconds
        connection.sendall(asked)
        status, _, body = answered(connection)
    assert (status, json.loads(body)["code"]) == (421, "host_not_allowed")


def test_a_server_without_room_for_connections_goes_on(
    tmp_path_factory: pytest.TempPathFactory, wine: AddedModel
) -> None:
    with serving(tmp_path_factory.mktemp("crowded"), wine, "tests.e2e.few_files_settings") as server:
        with ExitStack() as open_sockets:
            for _ in range(150):
                open_sockets.enter_context(server.connect())
            wait_until(lambda: "Too many open files" in server.log(), "the process has no room", 30)
        assert server.ask(get("/healthz"))[0] == 200
        assert server.log().count("Booting worker") == 1
