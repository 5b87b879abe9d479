"""Rows that kill scoring processes, and processes that are stuck, in a whole stack with the default lease."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import psutil
import pytest
from sqlalchemy import select

from base.database import Database
from base.database.tables import attempts
from base.settings import Settings
from models.registry import Registry
from rowmill.stack import Stack
from tests.builders import add_perilous
from tests.e2e.serving import errors, result, submit, wait
from tests.perils import STUCK_ONCE, stuck_file
from tests.waiting import wait_until

ROWS = 6000
LEASE_SECONDS = 60  # the default: nobody may have to wait for it


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the perilous model, little memory for each process, and leases of the usual length."""
    folder = tmp_path_factory.mktemp("poison")
    settings = Settings(
        data_dir=folder,
        port=0,
        flower_port=0,
        lease_seconds=LEASE_SECONDS,
        caretaker_seconds=0.3,
        retry_seconds=0.1,
        max_process_bytes=2 << 30,
    )
    with Stack(settings, only={"redis", "api", "worker", "caretaker"}) as running:
        database = Database(running.settings.database_url)
        add_perilous(Registry(database, folder / "models"), folder)
        database.dispose()
        yield running


def rows_with(perils: dict[int, float], count: int = ROWS) -> pd.DataFrame:
    rows = pd.DataFrame({"id": np.arange(count), "a": np.arange(count) % 97 + 1.0, "b": 2.0})
    for row, peril in perils.items():
        rows.loc[row, "a"] = peril
    return rows


@pytest.fixture
def mark() -> Iterator[int]:
    """Where somebody gets stuck, once."""
    number = uuid4().int % 2**40
    yield number
    stuck_file(number).unlink()


def stuck_at(mark: int) -> pd.DataFrame:
    """Ten rows whose first scorer does not come back from C code."""
    return rows_with({3: STUCK_ONCE}, 10).assign(b=mark)


def send(stack: Stack, rows: pd.DataFrame, chunk_rows: int) -> str:
    answer = submit(
        stack.url, rows.to_csv(index=False).encode(), model="perilous", keep="id", chunk_rows=chunk_rows
    )
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def history(stack: Stack, job_id: str) -> dict[int, list[str | None]]:
    """How each chunk's attempts ended."""
    database = Database(stack.settings.database_url)
    query = select(attempts.c.index, attempts.c.outcome).where(attempts.c.job_id == job_id)
    with database.reading() as connection:
        found = connection.execute(query.order_by(attempts.c.index, attempts.c.attempt)).all()
    database.dispose()
    ended: dict[int, list[str | None]] = {}
    for index, outcome in found:
        ended.setdefault(index, []).append(outcome)
    return ended


@pytest.mark.parametrize(
    ("peril", "code", "ends"),
    [
        (-9.0, "scorer_crashed", "lost"),
        (-11.0, "scorer_crashed", "lost"),
        (-2.0, "scorer_out_of_memory", "out_of_memory"),
    ],
    ids=["SIGKILL", "SIGSEGV", "memory"],
)
def test_only_the_poison_is_an_error(stack: Stack, peril: float, code: str, ends: str) -> None:
    rows = rows_with({1234: peril})
    poisoned = send(stack, rows, 1000)
    other = send(stack, rows_with({}), 1000)
    started = time.monotonic()
    assert wait(stack.url, other)["status"] == "succeeded"
    job = wait(stack.url, poisoned, LEASE_SECONDS - 5)
    assert job["status"] == "succeeded", job["error"]
    assert time.monotonic() - started < LEASE_SECONDS
    assert job["error_counts"] == {code: 1}
    assert [(error["row"], error["line"]) for error in errors(stack.url, job)] == [(1234, 1236)]
    scored = result(stack.url, job).to_pandas()
    assert scored["id"].tolist() == [str(row) for row in range(ROWS)]
    good = rows.drop(index=1234)
    assert scored.prediction.drop(index=1234).tolist() == (good.a + good.b).tolist()
    found = history(stack, poisoned)
    assert found.pop(1) == [ends, ends, "done"]
    # a neighbour may have lost its process to another job's poison, and no more than that
    assert all(len(outcomes) <= stack.settings.max_attempts for outcomes in found.values())


def test_a_killed_processs_chunk_does_not_wait_for_its_lease(stack: Stack, mark: int) -> None:
    job_id = send(stack, stuck_at(mark), 10)

    wait_until(stuck_file(mark).exists, "a process is stuck", 60)
    database = Database(stack.settings.database_url)
    with database.reading() as connection:
        worker = connection.execute(select(attempts.c.worker).where(attempts.c.job_id == job_id)).scalar_one()
    database.dispose()
    psutil.Process(int(worker.split(":")[1])).kill()
    started = time.monotonic()
    job = wait(stack.url, job_id, LEASE_SECONDS - 5)
    assert job["status"] == "succeeded", job["error"]
    assert time.monotonic() - started < LEASE_SECONDS / 2
    assert history(stack, job_id) == {0: ["lost", "done"]}


def test_a_stuck_chunk_is_ended_by_the_limit_of_time_and_runs_again(tmp_path: Path, mark: int) -> None:
    settings = Settings(
        data_dir=tmp_path,
        port=0,
        flower_port=0,
        lease_seconds=LEASE_SECONDS,
        caretaker_seconds=0.3,
        max_chunk_seconds=4,
    )
    with Stack(settings, only={"redis", "api", "worker", "caretaker"}) as stack:
        database = Database(stack.settings.database_url)
        add_perilous(Registry(database, tmp_path / "models"), tmp_path)
        database.dispose()
        started = time.monotonic()
        job_id = send(stack, stuck_at(mark), 10)
        job = wait(stack.url, job_id, LEASE_SECONDS - 5)
        assert job["status"] == "succeeded", job["error"]
        assert job["rows"]["failed"] == 0
        assert time.monotonic() - started >= settings.max_chunk_seconds
        assert history(stack, job_id) == {0: ["lost", "done"]}
