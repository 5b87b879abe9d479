"""The times that are promised, at default settings; a minute each, so `make faults` runs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import select, update

from base.database import Database
from base.database.tables import attempts, chunks
from base.settings import Settings
from models.registry import Registry
from rowmill.stack import Stack
from tests.builders import add_slow, slow_rows
from tests.e2e.serving import submit, wait
from tests.transport.redis_server import RedisServer
from tests.waiting import wait_until

RESTART_SECONDS = 75
RETURN_SECONDS = 15

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("default")
    settings = Settings(data_dir=folder, redis_url=redis_server.url, port=0, flower_port=0)
    with Stack(settings, only={"api", "worker", "caretaker"}) as running:
        yield running


@pytest.fixture(scope="module")
def database(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The stack's database, with the slow model."""
    opened = Database(stack.settings.database_url)
    add_slow(Registry(opened, stack.settings.data_dir / "models"), tmp_path_factory.mktemp("slow"))
    yield opened
    opened.dispose()


def tries(database: Database, job_id: str) -> list[Any]:
    """Worker and start of each attempt at the job's chunks, the oldest first."""
    query = select(attempts.c.worker, attempts.c.started_at).where(attempts.c.job_id == job_id)
    with database.reading() as connection:
        return list(connection.execute(query.order_by(attempts.c.started_at)).all())


def test_a_chunk_restarts_though_nobody_can_see_that_its_worker_is_dead(
    stack: Stack, database: Database
) -> None:
    job_id = submit(stack.url, slow_rows(1, 30.0), model="slow").json()["id"]
    wait_until(lambda: tries(database, job_id), "the chunk is scored", 60)
    with database.writing() as connection:
        elsewhere = update(chunks).where(chunks.c.job_id == job_id).values(worker="elsewhere:1")
        assert connection.execute(elsewhere).rowcount == 1
    psutil.Process(int(tries(database, job_id)[0].worker.split(":")[1])).kill()
    killed_at = time.time()
    wait_until(lambda: len(tries(database, job_id)) == 2, "another takes it", 2 * RESTART_SECONDS)
    assert tries(database, job_id)[1].started_at - killed_at <= RESTART_SECONDS
    assert wait(stack.url, job_id, 120)["status"] == "succeeded"


@pytest.mark.parametrize("away_seconds", [1, 60])
def test_jobs_go_on_when_redis_returns(
    stack: Stack, database: Database, redis_server: RedisServer, away_seconds: float
) -> None:
    running = submit(stack.url, slow_rows(400, 0.2), model="slow", chunk_rows=1).json()["id"]
    wait_until(lambda: tries(database, running), "it is scored", 60)
    redis_server.kill()
    until = time.monotonic() + away_seconds
    waiting = [submit(stack.url, slow_rows(10, 0.0), model="slow").json()["id"] for _ in range(3)]
    wait_until(lambda: time.monotonic() > until, "Redis was away for long enough", 2 * away_seconds)
    assert not any(tries(database, job_id) for job_id in waiting)
    redis_server.start()
    back = time.time()
    for job_id in waiting:
        assert wait(stack.url, job_id, 120)["status"] == "succeeded"
        assert tries(database, job_id)[0].started_at - back <= RETURN_SECONDS
    after = [start for _, start in tries(database, running) if start > back]
    assert after[0] - back <= RETURN_SECONDS
    httpx.delete(f"{stack.url}/jobs/{running}", timeout=60).raise_for_status()
