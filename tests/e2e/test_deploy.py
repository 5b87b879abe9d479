"""The API's processes told to stop, or killed, in the middle of requests: a repeated request does it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from base.database import Database
from models.registry import Registry
from rowmill.stack import Stack
from tests.builders import add_slow, slow_rows
from tests.e2e.serving import look, score, submit, wait
from tests.hurt_stack import hurt_stack
from tests.waiting import wait_until

SECONDS = 120
ROWS = 50_000  # a small upload takes no lease on its key
LARGE_CELLS = 16  # of 1 MiB: more than sockets hold
BLOCK = 1 << 16

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("deploy")
    with hurt_stack(folder, "", max_attempts=5) as running:
        database = Database(running.settings.database_url)
        add_slow(Registry(database, folder / "models"), tmp_path_factory.mktemp("slow"))
        database.dispose()
        yield running


@pytest.fixture(params=[signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "killed"])
def strike(request: pytest.FixtureRequest, stack: Stack) -> Callable[[], None]:
    """End every process that serves; the one that starts them lives."""

    def end() -> None:
        for process in psutil.Process(stack.pids["api"]).children():
            os.kill(process.pid, request.param)

    return end


def repeated(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that is one: new processes must start, and a key's lease may have to run out."""

    def answered() -> httpx.Response | None:
        with suppress(httpx.TransportError):
            answer = ask()
            return None if answer.status_code == 409 else answer
        return None

    return wait_until(answered, "an answer", SECONDS) or httpx.Response(500)


def test_an_upload_that_is_cut_is_sent_again_and_makes_one_job(
    stack: Stack, strike: Callable[[], None]
) -> None:
    body, key, address = slow_rows(ROWS, 0.0), secrets.token_hex(8), urlsplit(stack.url)
    headers = {"Idempotency-Key": f'"{key}"'}

    def post(content: bytes) -> httpx.Response:
        return httpx.post(
            f"{stack.url}/jobs?model=slow&tags={key}", content=content, headers=headers, timeout=SECONDS
        )

    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=SECONDS) as line:
        start = f"POST /jobs?model=slow&tags={key} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        start += f'Content-Length: {len(body)}\r\nIdempotency-Key: "{key}"\r\n\r\n'
        line.sendall(start.encode() + body[: len(body) // 2])
        wait_until(lambda: post(b"x\n").status_code == 409, "the key is taken", SECONDS)
        strike()
        with suppress(OSError):  # nobody may be there any more
            line.sendall(body[len(body) // 2 :])
            while line.recv(BLOCK):
                pass
    again = repeated(lambda: post(body))
    assert again.status_code == 202, again.text
    found = httpx.get(f"{stack.url}/jobs", params={"tag": key}, timeout=SECONDS).json()["jobs"]
    assert [job["id"] for job in found] == [again.json()["id"]]
    assert wait(stack.url, again.json()["id"], SECONDS)["rows"]["done"] == ROWS


@pytest.fixture(scope="module")
def large(stack: Stack) -> dict[str, Any]:
    """A job whose result does not fit into the sockets on its way."""
    cells = [secrets.token_hex(1 << 19) for _ in range(LARGE_CELLS)]
    lines = ["seconds,number,note", *(f"0,{number},{cell}" for number, cell in enumerate(cells))]
    return score(stack.url, "\n".join(lines).encode(), model="slow", keep="note")


def test_a_download_that_is_cut_goes_on_where_it_stopped(
    stack: Stack, large: dict[str, Any], strike: Callable[[], None]
) -> None:
    url = stack.url + large["links"]["result"]
    whole = repeated(lambda: httpx.get(url, timeout=SECONDS))
    got = bytearray()
    with ExitStack() as cut:
        cut.enter_context(suppress(httpx.TransportError))
        answer = cut.enter_context(httpx.stream("GET", url, timeout=SECONDS))
        for block in answer.iter_raw(BLOCK):
            if not got:
                strike()
            got += block
    if len(got) < len(whole.content):
        headers = {"Range": f"bytes={len(got)}-", "If-Range": whole.headers["ETag"]}
        rest = repeated(lambda: httpx.get(url, headers=headers, timeout=SECONDS))
        assert rest.status_code == 206
        got += rest.content
    assert bytes(got) == whole.content


def test_a_long_poll_that_is_cut_is_asked_again(stack: Stack, strike: Callable[[], None]) -> None:
    job = submit(stack.url, slow_rows(2, 4.0), model="slow", chunk_rows=1).json()
    wait_until(lambda: look(stack.url, job["id"])["status"] == "scoring", "it is scored", SECONDS)
    tag = repeated(lambda: httpx.get(f"{stack.url}/jobs/{job['id']}", timeout=SECONDS)).headers["ETag"]

    def poll() -> httpx.Response:
        return httpx.get(
            f"{stack.url}/jobs/{job['id']}?wait=30", headers={"If-None-Match": tag}, timeout=SECONDS
        )

    address = urlsplit(stack.url)
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=SECONDS) as line:
        asked = f"GET /jobs/{job['id']}?wait=30 HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n"
        line.sendall(asked.encode())
        wait_until(lambda: served(stack, line), "somebody serves it", SECONDS)
        strike()
        with suppress(OSError):
            answer = line.recv(BLOCK)
            assert answer[:12] in {b"", b"HTTP/1.1 200", b"HTTP/1.1 304"}
    assert repeated(poll).status_code in {200, 304}
    assert wait(stack.url, job["id"], SECONDS)["status"] == "succeeded"


def served(stack: Stack, line: socket.socket) -> bool:
    """Whether a process of the API has taken the connection."""
    port = line.getsockname()[1]
    serving = psutil.Process(stack.pids["api"]).children()
    return any(
        connection.raddr and connection.raddr.port == port
        for process in serving
        for connection in process.net_connections()
    )
