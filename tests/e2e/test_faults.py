"""Killed processes and a wiped Redis in mid-job: the result is complete and exact, each row once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest
import redis

from rowmill.stack import Stack
from tests.e2e.conftest import Example, add_table_examples
from tests.e2e.serving import result, submit, wait
from tests.hurt_stack import hurt_stack
from tests.waiting import wait_until

ROWS = 150_000


@dataclass(frozen=True)
class Wines:
    """A file of numbered rows, and what the estimator says of them without the product."""

    body: bytes
    expected: pd.Series[Any]


@pytest.fixture(scope="module")
def wines(examples: dict[str, Example]) -> Wines:
    rows = examples["wine"].rows.sample(ROWS, replace=True, random_state=11, ignore_index=True)
    expected = examples["wine"].estimator.predict(rows)  # type: ignore[attr-defined]
    body = rows.rename_axis("id").to_csv().encode()
    return Wines(body, pd.Series(expected, name="prediction"))


@pytest.fixture(scope="module")
def wounded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trained: Path
) -> Iterator[Stack]:
    """A stack that may be hurt, on either database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    with hurt_stack(tmp_path_factory.mktemp("faults"), url, max_attempts=20) as running:
        add_table_examples(running.settings, trained, "wine")
        yield running


def kill_pool_processes(stack: Stack) -> None:
    for process in psutil.Process(stack.pids["worker"]).children():
        process.kill()


def kill_worker(stack: Stack) -> None:
    os.kill(stack.pids["worker"], signal.SIGKILL)


def wipe_redis(stack: Stack) -> None:
    client = redis.Redis.from_url(stack.settings.redis_url.replace("redis+socket://", "unix://"))
    client.flushall()
    client.close()


def kill_redis(stack: Stack) -> None:
    os.kill(stack.pids["redis"], signal.SIGKILL)


def kill_caretaker(stack: Stack) -> None:
    os.kill(stack.pids["caretaker"], signal.SIGKILL)


def kill_everything(stack: Stack) -> None:
    for pid in list(stack.pids.values()):
        os.kill(pid, signal.SIGKILL)


def look(stack: Stack, job_id: str) -> dict[str, Any]:
    """The job, as soon as the API answers."""

    def ask() -> dict[str, Any] | None:
        try:
            answer = httpx.get(f"{stack.url}/jobs/{job_id}", timeout=10)
        except httpx.TransportError:
            return None  # the API may just have been killed
        job: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return job

    return wait_until(ask, "the API answers", 30) or {}


def has_done(stack: Stack, job_id: str, chunks: int) -> bool:
    return bool(look(stack, job_id)["chunks"]["done"] >= chunks)


KINDS = (kill_pool_processes, kill_worker, wipe_redis, kill_redis, kill_caretaker, kill_everything)


@pytest.mark.parametrize(
    ("wounded", "hurt"),
    [
        *(("postgres", kind) for kind in KINDS),
        # recovery does not ask which database it is; on SQLite chaos strikes and test_resuming kills all
        *(pytest.param("sqlite", kind, marks=pytest.mark.faults) for kind in KINDS),
    ],
    indirect=["wounded"],
)
def test_a_job_survives(wounded: Stack, wines: Wines, hurt: Callable[[Stack], None]) -> None:
    answer = submit(wounded.url, wines.body, model="wine", keep="id", chunk_rows=3000)
    job_id = answer.json()["id"]
    for share in (10, 25):
        wait_until(partial(has_done, wounded, job_id, share), f"{share} chunks are done", 60)
        hurt(wounded)
    wait_until(lambda: look(wounded, job_id)["done"], "the job ends", 90)
    job = wait(wounded.url, job_id)
    assert job["status"] == "succeeded", job["error"]
    scored = result(wounded.url, job).to_pandas()
    assert scored["id"].tolist() == [str(number) for number in range(ROWS)]
    pd.testing.assert_series_equal(scored["prediction"], wines.expected, check_dtype=False)
