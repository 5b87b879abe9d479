"""What users rely on when things break off, through the real servers: keys, cancels, retries, parts."""

from __future__ import annotations

import io
import os
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from base.settings import Settings
from rowmill import Client
from rowmill.stack import Stack
from tests.e2e.conftest import Example, with_examples
from tests.e2e.serving import curl, result, submit, wait
from tests.waiting import wait_until

KEY = {"Idempotency-Key": '"nightly"'}


@pytest.fixture
def body(examples: dict[str, Example]) -> bytes:
    rows = examples["wine"].rows.sample(3000, replace=True, random_state=5, ignore_index=True)
    return rows.rename_axis("id").to_csv().encode()


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory, examples_folder: Path) -> Iterator[Stack]:
    """An API that nobody works for."""
    folder = with_examples(examples_folder, tmp_path_factory.mktemp("idle"))
    settings = Settings(data_dir=folder, port=0, lease_seconds=2, heartbeat_seconds=0.2)
    with Stack(settings, only={"redis", "api"}) as running:
        yield running


def begin(url: str, body: bytes) -> socket.socket:
    """A connection on which the first half of a submission under the key was sent."""
    address = urlsplit(url)
    connection = socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=30)
    start = f"POST /jobs?model=wine HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(f'{start}Idempotency-Key: "nightly"\r\n\r\n'.encode() + body[: len(body) // 2])
    return connection


def post(stack: Stack, body: bytes) -> httpx.Response:
    return httpx.post(f"{stack.url}/jobs?model=wine", content=body, headers=KEY, timeout=30)


def in_use(stack: Stack, body: bytes) -> bool:
    """Whether the key is being received. Only asks: the body is none that could be accepted."""
    return post(stack, b"x\n").status_code == 409


def free(stack: Stack) -> None:
    for job in httpx.get(f"{stack.url}/jobs").json()["jobs"]:
        httpx.delete(f"{stack.url}/jobs/{job['id']}")


def test_a_key_is_busy_while_its_upload_runs_and_free_when_it_breaks_off(idle: Stack, body: bytes) -> None:
    with begin(idle.url, body):
        wait_until(lambda: in_use(idle, body), "the key is taken")
        assert int(post(idle, body).headers["Retry-After"]) > 0
    wait_until(lambda: not in_use(idle, body), "the key is free")
    first = post(idle, body)
    assert (first.status_code, "Idempotent-Replayed" in first.headers) == (202, False)
    assert post(idle, body).json()["id"] == first.json()["id"]
    free(idle)


def test_a_killed_process_blocks_a_key_no_longer_than_its_lease(idle: Stack, body: bytes) -> None:
    with begin(idle.url, body):
        wait_until(lambda: in_use(idle, body), "the key is taken")
        for process in psutil.Process(idle.pids["api"]).children():
            os.kill(process.pid, signal.SIGKILL)

        def answered() -> bool:
            try:
                return post(idle, body).status_code == 202
            except httpx.TransportError:
                return False  # the API starts anew

        wait_until(answered, "the lease runs out", 30)
    free(idle)


def test_cancel_needs_no_worker(idle: Stack, body: bytes) -> None:
    job = submit(idle.url, body, model="wine").json()
    assert "No worker is running" in job["warnings"][-1]
    cancelled = httpx.post(f"{idle.url}/jobs/{job['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    free(idle)


def test_curl_sends_a_digest_and_prefers_to_wait(url: str, body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wine.csv"
    path.write_bytes(body)
    shell = f"openssl dgst -sha256 -binary {path} | base64"
    digest = subprocess.run(["sh", "-c", shell], check=True, capture_output=True, text=True).stdout.strip()
    right = ["-H", f"Content-Digest: sha-256=:{digest}:", "-H", "Prefer: wait=20"]
    status, job = curl("-T", path, *right, f"{url}/jobs?model=wine")
    assert (status, job["status"]) == (202, "succeeded")
    path.write_bytes(body[:-30])
    status, problem = curl("-T", path, *right, f"{url}/jobs?model=wine")
    assert (status, problem["code"]) == (400, "content_digest_mismatch")


def test_a_cancelled_job_is_read_in_part_and_then_retried(
    url: str, examples: dict[str, Example], tmp_path: Path
) -> None:
    count = 150_000
    rows = examples["wine"].rows.sample(count, replace=True, random_state=9, ignore_index=True)
    rows.insert(0, "id", np.arange(count))
    content = io.BytesIO()
    rows.to_parquet(content)
    with Client(url) as client:
        job = client.submit(io.BytesIO(content.getvalue()), "wine", keep="id", chunk_rows=3000)
        wait_until(lambda: job.status()["chunks"]["done"] >= 5, "some chunks are done", 60)
        cancelled = job.cancel()
        assert cancelled["status"] == "cancelled"
        path = job.download(tmp_path / "part.parquet", partial=True)
        partial = pq.read_table(path)
        assert 15_000 <= len(partial) < count
        child = job.retry()
        ended = child.wait(timeout=90)
        assert ended["retry_of"] == job.id
        table = result(url, dict(ended))
        assert table.column("id").to_pylist() == list(range(count))
        expected = examples["wine"].estimator.predict(rows.drop(columns="id"))  # type: ignore[attr-defined]
        assert table.column("prediction").to_pylist() == expected.tolist()
        kept = table.filter(pc.is_in(table.column("id"), partial.column("id")))
        assert kept.equals(partial.replace_schema_metadata(kept.schema.metadata))
        clone = child.clone(outputs="confidence").wait(timeout=90)
        assert "confidence" in result(url, dict(clone)).schema.names


@contextmanager
def cut_line(url: str, after_bytes: int) -> Iterator[tuple[str, list[int]]]:
    """A way to the server that is cut after so many bytes of each answer; and a list of the cuts."""
    address, cuts = urlsplit(url), list[int]()

    class Line(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            server = socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=30)
            with server:
                server.sendall(self.request.recv(65536))
                left = after_bytes
                while left and (block := server.recv(left)):
                    self.request.sendall(block)
                    left -= len(block)
            cuts.append(left)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Line) as line:
        thread = threading.Thread(target=line.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{line.server_address[1]}", cuts
        line.shutdown()
        thread.join()


def test_a_download_that_breaks_off_goes_on_where_it_stopped(url: str, body: bytes, tmp_path: Path) -> None:
    job = wait(url, submit(url, body, model="wine", keep="*").json()["id"])
    whole = httpx.get(url + job["links"]["result"])
    assert len(whole.content) > 50_000
    with cut_line(url, 20_000) as (broken, cuts), Client(broken) as client:
        path = client.job(job["id"]).download(tmp_path / "out.parquet")
    assert path.read_bytes() == whole.content
    assert len(cuts) > 2
