"""Ten large jobs and a small one on the running stack: they share, it passes, and Redis holds little."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from base.broker import Broker
from base.database import Database
from base.database.tables import attempts
from jobs.lifecycle.window import window_size
from rowmill.stack import Stack
from tests.e2e.conftest import Example
from tests.e2e.serving import submit
from tests.waiting import wait_until

LARGE_JOBS = 10
CHUNKS = 40
CHUNK_ROWS = 1000

pytestmark = pytest.mark.timeout(300)


def look(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{stack.url}/jobs/{job['id']}", timeout=60).json()
    return found


def test_a_small_job_passes_ten_large_ones_which_share(stack: Stack, examples: dict[str, Example]) -> None:
    rows = examples["wine"].rows.sample(CHUNKS * CHUNK_ROWS, replace=True, random_state=3)
    body = rows.to_csv(index=False).encode()
    large = [submit(stack.url, body, model="wine", chunk_rows=CHUNK_ROWS).json() for _ in range(LARGE_JOBS)]
    wait_until(lambda: all(look(stack, job)["chunks"]["done"] for job in large), "all have begun", 120)
    small = submit(stack.url, body[:50_000].rpartition(b"\n")[0], model="wine").json()
    broker, queued = Broker(stack.settings.redis_url), [0]

    def all_done() -> bool:
        queued.append(broker.queue_length())
        return all(look(stack, job)["done"] for job in [small, *large])

    wait_until(all_done, "all jobs end", 120)
    broker.close()
    jobs = [look(stack, job) for job in [small, *large]]
    assert [job["status"] for job in jobs] == ["succeeded"] * (1 + LARGE_JOBS)
    # the messages of chunks, and a step of each job
    assert max(queued) <= window_size(2) + len(jobs)
    order = commits(stack, {job["id"] for job in jobs})
    assert_small_passed(order, small)
    assert_shared(order, {job["id"] for job in large})


def commits(stack: Stack, jobs: set[str]) -> list[Any]:
    """Attempts of these jobs in the order of their ends."""
    database = Database(stack.settings.database_url)
    with database.reading() as connection:
        query = select(attempts).where(attempts.c.job_id.in_(jobs)).order_by(attempts.c.ended_at)
        found = list(connection.execute(query))
    database.dispose()
    return found


def assert_small_passed(order: list[Any], small: dict[str, Any]) -> None:
    """Few chunks began between its submission and its turn: a few windows, not one for each large job."""
    sent = datetime.fromisoformat(small["created_at"]).timestamp()
    turn = next(attempt.started_at for attempt in order if attempt.job_id == small["id"])
    assert len([attempt for attempt in order if sent <= attempt.started_at < turn]) <= 6 * window_size(2)
    assert order[-1].started_at > turn


def assert_shared(order: list[Any], large: set[str]) -> None:
    """From when all had begun until the first had ended, none was served twice as much as another."""
    order = [attempt for attempt in order if attempt.job_id in large]
    done: Counter[str] = Counter()
    at_start: Counter[str] | None = None
    for attempt in order:
        done[attempt.job_id] += 1
        if at_start is None and len(done) == LARGE_JOBS:
            at_start = Counter(done)
        if done[attempt.job_id] == CHUNKS:
            break
    assert at_start is not None, "a job ended before another had begun"
    shares = [done[job] - at_start[job] for job in large]
    assert max(shares) <= 2 * min(shares) + 2, shares
