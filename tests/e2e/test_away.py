"""Redis dead, Postgres frozen, the caretaker frozen: users are answered, and jobs go on by themselves.

On a stack that shares nothing with others: its Redis and its Postgres are the test's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest

from base.database import Database
from models.registry import Registry
from rowmill.stack import Stack
from tests.builders import add_slow, slow_rows
from tests.chaos.postgres_server import PostgresServer
from tests.e2e.serving import look, result, score, submit, wait
from tests.freezing import stopped
from tests.hurt_stack import hurt_stack
from tests.transport.redis_server import RedisServer
from tests.waiting import wait_until

# How long anybody waits at the very most, on a machine that does much else besides.
DEADLINE_SECONDS = 150
THREADS = 4

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(
    redis_server: RedisServer, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("away")
    with hurt_stack(folder, postgres.url, max_attempts=20, redis_url=redis_server.url) as running:
        database = Database(running.settings.database_url)
        add_slow(Registry(database, folder / "models"), tmp_path_factory.mktemp("slow"))
        database.dispose()
        yield running


class Users:
    """What users ask for, each by a call that gives up after ``DEADLINE_SECONDS``."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.done = score(url, slow_rows(10, 0.0), model="slow")
        self._http = http

    def submit(self) -> httpx.Response:
        return self._http.post("/jobs", params={"model": "slow"}, content=slow_rows(10, 0.0))

    def status(self) -> httpx.Response:
        return self._http.get(f"/jobs/{self.done['id']}")

    def result(self) -> httpx.Response:
        return self._http.get(self.done["links"]["result"])

    def predict(self) -> httpx.Response:
        record = {"seconds": 0.0, "number": 7}
        return self._http.post("/predict", json={"model": "slow", "features": record})

    def jobs(self) -> list[str]:
        """Ids of all jobs that there are."""
        found = self._http.get("/jobs", params={"limit": 100}).raise_for_status().json()["jobs"]
        return [job["id"] for job in found]


@pytest.fixture
def users(stack: Stack) -> Iterator[Users]:
    with httpx.Client(base_url=stack.url, timeout=DEADLINE_SECONDS) as http:
        yield Users(stack.url, http)


def ask(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """All of them, some at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [asked.result() for asked in [pool.submit(call) for call in calls]]


def numbers(stack: Stack, job: dict[str, Any]) -> list[float]:
    return result(stack.url, job).column("prediction").to_pylist()  # type: ignore[no-any-return]


def test_while_redis_is_dead_users_are_answered_and_jobs_wait(
    stack: Stack, redis_server: RedisServer, users: Users
) -> None:
    running = submit(stack.url, slow_rows(20, 0.2), model="slow", chunk_rows=1).json()
    redis_server.kill()
    try:
        answers = ask(4 * [users.submit, users.status, users.result, users.predict])
        waiting = [answer.json() for answer in answers if answer.status_code == 202]
        assert {answer.status_code for answer in answers} == {200, 202}
        look = [
            httpx.get(f"{stack.url}/jobs/{job['id']}", timeout=DEADLINE_SECONDS).json() for job in waiting
        ]
        assert [job["status"] for job in look] == 4 * ["queued"]
    finally:
        redis_server.start()
    for job in [running, *waiting]:
        assert wait(stack.url, job["id"], DEADLINE_SECONDS)["status"] == "succeeded"
    assert numbers(stack, wait(stack.url, running["id"])) == list(range(20))


def test_a_frozen_postgres_is_given_up_and_nothing_is_half_accepted(
    stack: Stack, postgres: PostgresServer, users: Users
) -> None:
    running = submit(stack.url, slow_rows(20, 0.2), model="slow", chunk_rows=1).json()
    before = users.jobs()
    with postgres.frozen():
        answers = ask(4 * [users.submit, users.status, users.result])
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["code"] for answer in answers} == {"database_down"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert wait(stack.url, running["id"], DEADLINE_SECONDS)["status"] == "succeeded"
    assert numbers(stack, wait(stack.url, running["id"])) == list(range(20))
    assert users.jobs() == before
    assert users.submit().status_code == 202


def test_another_stands_in_for_a_frozen_caretaker(stack: Stack, redis_server: RedisServer) -> None:
    with stopped(psutil.Process(stack.pids["caretaker"])):
        busy = submit(stack.url, slow_rows(2, 3.0), model="slow", chunk_rows=1).json()
        wait_until(lambda: look(stack.url, busy["id"])["chunks"]["running"] == 2, "nobody is free", 60)
        lost = submit(stack.url, slow_rows(10, 0.0), model="slow").json()
        assert redis_server.client.delete("celery") == 1, "its message waited"
        assert wait(stack.url, lost["id"], DEADLINE_SECONDS)["status"] == "succeeded"
