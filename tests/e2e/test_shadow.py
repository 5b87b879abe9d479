"""A shadow on a real gunicorn with two processes: counted exactly, and gone with them, however they end."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from base.database import Database
from base.meter.folder import MeterFolder
from models.registry import Registry
from tests.builders import AddedModel
from tests.waiting import wait_until

PATIENCE_SECONDS = 90.0
ROWS = 200


@pytest.fixture
def folder(tmp_path: Path, wine: AddedModel) -> Path:
    """A data folder in which ``wine@2`` is the challenger of ``wine@1``."""
    database = Database(f"sqlite:///{tmp_path / 'rowmill.db'}")
    database.upgrade()
    registry = Registry(database, tmp_path / "models")
    for version in (1, 2):
        manifest = wine.manifest.model_copy(update={"version": version})
        replace(wine, manifest=manifest).put_into(database, registry)
    registry.set_alias("wine", 1, "production", "a test")
    registry.shadow("wine", "production", 2, "a test")
    database.dispose()
    return tmp_path


@contextmanager
def gunicorn(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = (
            *(sys.executable, "-m", "gunicorn", "-c", "python:rowmill.stack.gunicorn_settings"),
            *("--bind", f"fd://{listening.fileno()}", "api:create_app()"),
        )
        process = subprocess.Popen(
            command,
            env={**os.environ, "ROWMILL_DATA_DIR": str(folder)},
            pass_fds=[listening.fileno()],
            cwd=Path(__file__).parents[2],
        )
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=60, headers={"Connection": "close"}) as client:
            yield process, client
        process.kill()
        process.wait()


def shadow(client: httpx.Client) -> dict[str, int]:
    [alias] = client.get("/stats").json()["aliases"] or [{"shadows": []}]
    found: dict[str, int] = alias["shadows"][0]["total"] if alias["shadows"] else {"rows": 0, "dropped": 0}
    return found


def oddly_sent(client: httpx.Client, rows: list[list[float]], index: int) -> tuple[int, int]:
    """Status and version that answered; rows in all the ways that a copy is made of."""
    body = json.dumps({"model": "wine", "instances": rows[: 1 + index % 5]}).encode()
    ways: list[dict[str, Any]] = [
        {"content": body},
        {"content": gzip.compress(body + b" " * 200_000), "headers": {"Content-Encoding": "gzip"}},
        {"content": iter([body[:9], body[9:]])},
        {"json": {"model": "wine", "features": rows[0]}},
    ]
    answer = client.post("/predict", **ways[index % len(ways)])
    return answer.status_code, answer.json()["model"]["version"]


@pytest.mark.parametrize("end", ["terminate", pytest.param("kill", marks=pytest.mark.faults)])
def test_both_processes_have_a_challenger_and_neither_outlives_them(
    folder: Path, wine: AddedModel, end: str
) -> None:
    rows = pd.read_csv(wine.sample).head(10).to_numpy().tolist()
    with gunicorn(folder) as (process, client):
        master, scoring = psutil.Process(process.pid), list[psutil.Process]()

        def predict(index: int) -> Any:
            body = {"model": "wine", "features": rows[index % 10]}
            return client.post("/predict", json=body).json()["model"]["version"]

        sent = 0
        with ThreadPoolExecutor(4) as threads:
            while len(scoring) < 2:
                assert set(threads.map(predict, range(ROWS))) == {1}
                sent += ROWS
                assert sent < 100 * ROWS, "both processes answer"
                scoring = [child for worker in master.children() for child in worker.children()]

        def all_are_seen() -> bool:
            found = shadow(client)
            return found["rows"] + found["dropped"] >= sent

        wait_until(all_are_seen, "the challengers have scored them", PATIENCE_SECONDS)
        found = shadow(client)
        assert (found["rows"] + found["dropped"], found["errors"], found["flipped"]) == (sent, 0, 0)
        assert found["agreed"] == found["rows"] > 0
        for child in scoring:
            child.suspend()
        with ThreadPoolExecutor(4) as threads:
            answers = threads.map(lambda index: oddly_sent(client, rows, index), range(2 * ROWS))
            if end == "kill":
                os.kill(scoring[0].pid, signal.SIGKILL)  # the other one stays frozen
            assert set(answers) == {(200, 1)}, "whatever becomes of the challengers"
        if end == "terminate":
            for child in scoring:
                child.resume()
        getattr(process, end)()
        process.wait(60)
        wait_until(lambda: not any(child.is_running() for child in scoring), "they end too", 60)
    if end == "terminate":
        wait_until(lambda: MeterFolder(folder).paths() == [], "the last one removed what it counted in")
    MeterFolder(folder).remove_unused()  # what killed processes leave for the next start
