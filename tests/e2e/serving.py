"""Talking to a running stack as a user does: with curl, and plain HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from rowmill.stack import Stack
from tests.waiting import wait_until

ROWMILL = (str(Path(sys.executable).with_name("rowmill")),)


def curl(*arguments: str | Path) -> tuple[int, Any]:
    """Status and parsed body of a curl command that a user could have typed."""
    command = ["curl", "-sS", "-w", "\n%{http_code}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(body) if body.strip() else None


def api_memory(stack: Stack) -> int:
    """Bytes that the API's processes hold for themselves."""
    master = psutil.Process(stack.pids["api"])
    return sum(process.memory_full_info().uss for process in [master, *master.children()])


def submit(url: str, body: bytes, **options: object) -> httpx.Response:
    """POST a body as a job."""
    return httpx.post(f"{url}/jobs", params={k: str(v) for k, v in options.items()}, content=body, timeout=60)


def look(url: str, job_id: str) -> dict[str, Any]:
    """The job as it is now."""
    job: dict[str, Any] = httpx.get(f"{url}/jobs/{job_id}", timeout=60).json()
    return job


def wait(url: str, job_id: str, seconds: float = 60) -> dict[str, Any]:
    """The job once it has ended."""

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = httpx.get(f"{url}/jobs/{job_id}", params={"wait": 5}, timeout=30).json()
        return job if job["done"] else None

    return wait_until(ended, f"job {job_id} ends", seconds) or {}


def score(url: str, body: bytes, **options: object) -> dict[str, Any]:
    """Submit a body, and return the job once it has succeeded."""
    answer = submit(url, body, **options)
    assert answer.status_code == 202, answer.text
    job = wait(url, answer.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


def result(url: str, job: dict[str, Any]) -> pa.Table:
    """The result of a job."""
    answer = httpx.get(url + job["links"]["result"], timeout=60)
    assert answer.status_code == 200, answer.text
    return pq.read_table(pa.BufferReader(answer.content))


def errors(url: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The row errors of a job."""
    text = httpx.get(f"{url}/jobs/{job['id']}/errors.jsonl", timeout=60).text
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def rowmill_up(
    folder: Path, started_in: Path | None = None, workers: int = 1
) -> Iterator[subprocess.Popen[str]]:
    """`rowmill up` on free ports, once it has said that it is ready."""
    command = [
        *ROWMILL,
        "up",
        "--port",
        "0",
        "--flower-port",
        "0",
        "--workers",
        str(workers),
        "--data-dir",
        str(folder),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=started_in) as process:
        assert process.stdout
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "ready" in line:
                    break
            assert "Rowmill is ready" in said, said
            yield process
        finally:
            process.kill()
