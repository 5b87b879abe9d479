"""``/stats`` of a real gunicorn with two processes adds up exactly, whichever of them is asked or killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Served:
    """gunicorn with the model ``wine``."""

    gunicorn: psutil.Process
    files: MeterFolder
    client: httpx.Client
    row: list[float]

    def predict(self, row: list[float], model: str = "wine") -> int:
        """The status, over a connection of its own, so that either process may take it."""
        body = {"model": model, "features": row}
        return self.client.post("/predict", json=body, headers={"Connection": "close"}).status_code

    def predictions(self) -> dict[str, Any]:
        """What one of the processes says of ``POST /predict``."""
        routes = self.client.get("/stats", headers={"Connection": "close"}).json()["routes"]
        found: dict[str, Any] = next(entry for entry in routes if entry["route"] == "POST /predict")
        return found

    def workers(self) -> list[psutil.Process]:
        return self.gunicorn.children()


@pytest.fixture
def served(tmp_path: Path, wine: AddedModel) -> Iterator[Served]:
    database = Database(f"sqlite:///{tmp_path / 'rowmill.db'}")
    database.upgrade()
    wine.put_into(database, Registry(database, tmp_path / "models"))
    database.dispose()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = (
            *(sys.executable, "-m", "gunicorn", "-c", "python:rowmill.stack.gunicorn_settings"),
            *("--bind", f"fd://{listening.fileno()}", "api:create_app()"),
        )
        environment = {**os.environ, "ROWMILL_DATA_DIR": str(tmp_path)}
        process = subprocess.Popen(
            command, env=environment, pass_fds=[listening.fileno()], cwd=Path(__file__).parents[2]
        )
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        row = pd.read_csv(wine.sample).iloc[0].tolist()
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Served(psutil.Process(process.pid), MeterFolder(tmp_path), client, row)
        process.terminate()
        process.wait(60)
        assert MeterFolder(tmp_path).paths() == [], "the last process that ended removed them"


def test_two_processes_add_up_and_one_that_is_killed_is_not_forgotten(served: Served) -> None:
    with ThreadPoolExecutor(4) as threads:
        sent = 0
        while len(served.files.paths()) < 2:
            assert sent < 2000, "both processes answer"
            statuses = set(threads.map(served.predict, [served.row] * 20))
            assert statuses == {200}
            sent += 20
        assert [served.predict([]) for _ in range(7)] == [422] * 7
        assert [served.predict(served.row, "nobody") for _ in range(5)] == [404] * 5

        def counts() -> dict[str, Any]:
            """Of a request that is answered, its last step is to be counted."""
            expected = sent + 12
            wait_until(lambda: served.predictions()["requests"] >= expected, f"{expected} are counted")
            return served.predictions()

        before = counts()
        assert (before["requests"], before["refusals"], before["errors"]) == (sent + 12, 12, 0)
        assert (before["models"][0]["model"], before["models"][0]["requests"]) == ("wine@1", sent + 7)

        killed = served.workers()[0]
        killed.kill()
        wait_until(lambda: killed not in served.workers() and len(served.workers()) == 2, "two again", 60)
        assert [served.predictions()["requests"] for _ in range(10)] == [sent + 12] * 10

        assert set(threads.map(served.predict, [served.row] * 100)) == {200}
        sent += 100
        after = counts()
        assert (after["requests"], after["total"]["requests"]) == (sent + 12, sent + 12)
        assert len(served.files.paths()) == 2, "the new process goes on with the file of the killed one"
