"""Redis frozen, or refusing: users are answered, and their jobs run by themselves once it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest
import redis

from base.broker import plain_redis_url
from rowmill.stack import Stack
from tests.e2e.conftest import Example
from tests.e2e.serving import score, wait

THREADS = 8
REQUESTS = 200
# How long a user waits at the very most, on a machine that does much else besides.
DEADLINE_SECONDS = 30

pytestmark = pytest.mark.timeout(300)


@contextmanager
def frozen(stack: Stack) -> Iterator[None]:
    process = psutil.Process(stack.pids["redis"])
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def refusing(stack: Stack) -> Iterator[None]:
    client = redis.Redis.from_url(plain_redis_url(stack.settings.redis_url))
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)
        client.close()


@pytest.mark.parametrize("away", [frozen, refusing])
def test_without_redis_users_are_answered_and_jobs_wait(
    stack: Stack, examples: dict[str, Example], away: Callable[[Stack], Any]
) -> None:
    rows = examples["wine"].rows
    body, record = rows.to_csv(index=False).encode(), rows.iloc[0].to_dict()
    done = score(stack.url, body, model="wine")

    with httpx.Client(base_url=stack.url, timeout=DEADLINE_SECONDS) as http:
        users: list[Callable[[], httpx.Response]] = [
            lambda: http.post("/jobs", params={"model": "wine"}, content=body),
            lambda: http.get(f"/jobs/{done['id']}"),
            lambda: http.get(done["links"]["result"]),
            lambda: http.post("/predict", json={"model": "wine", "features": record}),
        ]
        with away(stack), ThreadPoolExecutor(THREADS) as pool:
            asked = [pool.submit(users[number % len(users)]) for number in range(REQUESTS)]
            answers = [one.result() for one in asked]
            assert {answer.status_code for answer in answers} == {200, 202}
    for answer in answers:
        if answer.status_code == 202:
            assert wait(stack.url, answer.json()["id"], 200)["status"] == "succeeded"
