"""Large jobs and a small one on the running stack: they share, it passes, and Redis holds little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from base.broker import Broker
from base.database import Database
from base.database.tables import attempts
from jobs.lifecycle.window import window_size
from models.registry import Registry
from rowmill.stack import Stack
from tests.builders import add_slow, slow_rows
from tests.e2e.serving import look, score, submit
from tests.waiting import wait_until

# Many more than are scored here: the jobs are deleted half way.
CHUNKS = 200
CHUNK_SECONDS = 0.3
SMALL_ROWS = 1000
SHARE = 3
WINDOW = window_size(2)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def database(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The stack's database; by now the stack has the slow model, and both scoring processes know it."""
    opened = Database(stack.settings.database_url)
    add_slow(Registry(opened, stack.settings.data_dir / "models"), tmp_path_factory.mktemp("slow"))
    score(stack.url, slow_rows(WINDOW, CHUNK_SECONDS), model="slow", chunk_rows=1)
    yield opened
    opened.dispose()


def tries(database: Database, jobs: list[dict[str, Any]]) -> list[Any]:
    """Attempts at chunks of these jobs, in the order in which they began."""
    query = select(attempts).where(attempts.c.job_id.in_([job["id"] for job in jobs]))
    with database.reading() as connection:
        return list(connection.execute(query.order_by(attempts.c.started_at)))


@pytest.mark.parametrize("count", [1, 10])
def test_a_small_job_passes_large_ones_which_share(stack: Stack, database: Database, count: int) -> None:
    broker, queued = Broker(stack.settings.redis_url), [0]

    def chunks_done(job: dict[str, Any]) -> int:
        queued.append(broker.queue_length())
        return int(look(stack.url, job["id"])["chunks"]["done"])

    def all_have(chunks: int) -> bool:
        return min(map(chunks_done, large)) >= chunks

    body = slow_rows(CHUNKS, CHUNK_SECONDS)
    large = [submit(stack.url, body, model="slow", chunk_rows=1).json() for _ in range(count)]
    try:
        wait_until(lambda: all_have(1), "all large jobs have begun", 120)
        small = submit(stack.url, slow_rows(SMALL_ROWS, 0.0), model="slow").json()
        wait_until(lambda: chunks_done(small) and look(stack.url, small["id"])["done"], "it ends", 120)
        wait_until(lambda: all_have(SHARE), "all go on", 120)
        small, order = look(stack.url, small["id"]), tries(database, large)
        assert max(map(chunks_done, large)) < CHUNKS
    finally:
        for job in large:
            httpx.delete(f"{stack.url}/jobs/{job['id']}", timeout=60).raise_for_status()
        broker.close()
    assert small["status"] == "succeeded", small["error"]
    # planning, scoring and joining have a window of chunks before them, each; and as much again if it is busy
    sent, ended = (datetime.fromisoformat(small[name]).timestamp() for name in ("created_at", "finished_at"))
    assert len([attempt for attempt in order if sent < attempt.started_at < ended]) <= 6 * WINDOW
    # chunks of all jobs together, and a step of each
    assert max(queued) <= WINDOW + count + 1
    first = {attempt.job_id: attempt.started_at for attempt in reversed(order)}
    all_began = max(first.values())
    shares = Counter(attempt.job_id for attempt in order if attempt.started_at >= all_began)
    assert max(shares.values()) <= 2 * min(shares.values()) + WINDOW, shares
