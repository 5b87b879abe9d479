"""Bodies that break off or lie about themselves, and files with odd names, through the real server."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from rowmill.stack import Stack
from tests.e2e.conftest import Example
from tests.e2e.serving import submit, wait
from tests.e2e.test_submitting import stored
from tests.parquet_bombs import growing_page

PICTURE = (
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG\r\n\x1a\n'
    + bytes(99)
)


@pytest.fixture
def wine_csv(examples: dict[str, Example]) -> bytes:
    return examples["wine"].rows.to_csv(index=False).encode()


def send(url: str, headers: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and problem of a request whose client says nothing more after ``body``."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=30) as connection:
        start = f"POST /jobs?model=wine HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n\r\n"
        connection.sendall(start.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


@pytest.mark.parametrize("how", ["length", "chunk", "end mark", "no chunk", "form", "form of images"])
def test_half_a_body_is_no_file(stack: Stack, wine_csv: bytes, how: str) -> None:
    size, half = len(wine_csv), wine_csv[: len(wine_csv) // 2]
    chunked = "Transfer-Encoding: chunked"
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + half
    headers, body = {
        "length": (f"Content-Length: {size}", half),
        "chunk": (chunked, f"{size:x}\r\n".encode() + half),
        "end mark": (chunked, f"{size:x}\r\n".encode() + wine_csv + b"\r\n"),
        "no chunk": (chunked, b"zz\r\n" + wine_csv),
        "form": (f"Content-Length: {size}\r\nContent-Type: multipart/form-data; boundary=x", part),
        "form of images": (
            f"Content-Length: {size}\r\nContent-Type: multipart/form-data; boundary=x",
            PICTURE + b"\r\n" + PICTURE + b"\r\n" + PICTURE[:-20],
        ),
    }[how]
    before = stored(stack)
    status, problem = send(stack.url, headers, body)
    assert (status, problem["code"]) == (400, "incomplete_body")
    assert stored(stack) == before


def test_a_file_name_of_any_script_names_the_downloads(url: str, wine_csv: bytes) -> None:
    files = {"file": ("вино 2026.csv", wine_csv)}
    job = wait(url, httpx.post(f"{url}/jobs", files=files, data={"model": "wine"}).json()["id"])
    for view in ("result", "result.csv", "result.jsonl", "errors.csv", "errors.jsonl"):
        answer = httpx.get(f"{url}/jobs/{job['id']}/{view}")
        assert answer.status_code == 200
        assert "filename*=UTF-8''%D0%B2%D0%B8%D0%BD%D0%BE_2026." in answer.headers["Content-Disposition"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not limited")
def test_a_dry_run_of_a_page_that_becomes_gigabytes_is_refused_and_harms_nobody(
    stack: Stack, examples: dict[str, Example]
) -> None:
    def most_memory() -> dict[int, int]:
        """KiB that each of the API's processes had at most, ever."""
        workers = psutil.Process(stack.pids["api"]).children()
        status = {worker.pid: Path(f"/proc/{worker.pid}/status").read_text() for worker in workers}
        return {pid: int(re.findall(r"VmHWM:\s*(\d+)", text)[0]) for pid, text in status.items()}

    before, bomb = most_memory(), growing_page(list(examples["wine"].rows.columns))
    answer = submit(stack.url, bomb, model="wine", dry_run="true")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    after = most_memory()
    assert after.keys() == before.keys()
    assert max(after[pid] - before[pid] for pid in before) < 100 << 10
