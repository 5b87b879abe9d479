"""One window for all jobs, on both databases: the broker stays small, and jobs take turns."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from sqlalchemy import func, insert, select, update

from base.broker import Broker
from base.database.tables import attempts, chunks
from jobs.lifecycle import ending
from jobs.lifecycle.chunks import commit, release
from jobs.lifecycle.window import (
    HEAD_START_SECONDS,
    Turn,
    open_window,
    send_chunks,
    take_window,
    window_size,
)
from jobs.records import Claim, Job
from jobs.workshop import Workshop
from tests.builders import OWNER, claim_chunk, planned_job, scored
from tests.conftest import Clock

WINDOW = 4


class Workers:
    """Two processes that take messages in the order in which they were sent."""

    def __init__(self, workshop: Workshop, clock: Clock, jobs: list[Job]) -> None:
        self.workshop, self.clock = workshop, clock
        self.jobs = {job.id: job for job in jobs}
        self.queue: list[Turn] = []
        self.held: list[Claim] = []
        self.order: list[str] = []  # jobs of the chunks that were committed
        self.longest = 0

    def fill(self) -> None:
        with self.workshop.database.writing() as connection:
            self.queue += take_window(connection, WINDOW, self.clock.now)

    def work(self, chunk_count: int) -> None:
        """Commit so many chunks."""
        for _ in range(chunk_count):
            while len(self.held) < 2 and self.queue:
                job_id, index = self.queue.pop(0)
                claim = claim_chunk(self.workshop.database, self.jobs[job_id], index)
                if claim is not None:
                    self.held.append(claim)
            self.clock.advance(0.3)
            done = self.held.pop(0)
            self.queue += commit(self.workshop.database, done, scored(), WINDOW).send_next
            self.order.append(done.job.id)
            self.longest = max(self.longest, len(self.queue) + len(self.held))

    def add(self, job: Job) -> None:
        """A job has just been planned: its planner sends what fits."""
        self.jobs[job.id] = job
        self.fill()


def test_ten_large_jobs_share_and_the_queue_stays_as_short_as_for_one(
    workshop: Workshop, clock: Clock
) -> None:
    large = [planned_job(workshop.database, chunk_count=50) for _ in range(10)]
    workers = Workers(workshop, clock, large)
    workers.fill()
    workers.work(100)
    shares = Counter(workers.order)
    assert set(shares) == {job.id for job in large}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert workers.longest <= WINDOW


def test_a_small_job_waits_for_a_window_of_chunks_whatever_else_is_open(
    workshop: Workshop, clock: Clock
) -> None:
    workers = Workers(workshop, clock, [planned_job(workshop.database, chunk_count=50) for _ in range(10)])
    workers.fill()
    workers.work(20)
    small = planned_job(workshop.database, chunk_count=1)
    workers.add(small)
    workers.work(WINDOW + 1)
    assert workers.order.index(small.id) <= 20 + WINDOW


def test_one_job_alone_has_the_whole_window(workshop: Workshop, clock: Clock) -> None:
    planned_job(workshop.database, chunk_count=20)
    open_window(workshop.database, workshop.broker, WINDOW)
    assert workshop.broker.queue_length() == WINDOW


def test_a_job_that_ends_leaves_its_places_to_others(workshop: Workshop, clock: Clock) -> None:
    first, second = [planned_job(workshop.database, chunk_count=WINDOW) for _ in range(2)]
    with workshop.database.writing() as connection:
        connection.execute(update(chunks).where(chunks.c.job_id == first.id).values(sent_at=clock.now))
        assert take_window(connection, WINDOW, clock.now) == []
    ending.cancel(workshop.database, OWNER, first.id)
    with workshop.database.writing() as connection:
        turns = take_window(connection, WINDOW, clock.now)
    assert turns == [(second.id, index) for index in range(WINDOW)]


def test_what_was_lost_elsewhere_does_not_fill_the_window(workshop: Workshop, clock: Clock) -> None:
    """Many processes of another host died: until their leases run out, those that live go on."""
    job = planned_job(workshop.database, chunk_count=40)
    for index in range(3 * WINDOW):
        assert claim_chunk(workshop.database, job, index, worker=f"elsewhere:{index}")
    with workshop.database.writing() as connection:
        assert len(take_window(connection, WINDOW, clock.now)) == WINDOW // 2


def test_a_failed_attempt_leaves_its_place_at_the_next_look(workshop: Workshop, clock: Clock) -> None:
    failing, waiting = [planned_job(workshop.database, chunk_count=WINDOW) for _ in range(2)]
    claims = [claim_chunk(workshop.database, failing, index) for index in range(WINDOW)]
    for claim in claims:
        assert claim is not None
        release(workshop.database, claim, {"code": "", "message": "it failed"}, clock.now + 10)
    with workshop.database.writing() as connection:
        turns = take_window(connection, WINDOW, clock.now)
    assert turns == [(waiting.id, index) for index in range(WINDOW)]


def test_what_could_not_be_sent_takes_no_place(workshop: Workshop, clock: Clock) -> None:
    job = planned_job(workshop.database, chunk_count=20)
    with workshop.database.writing() as connection:
        turns = take_window(connection, WINDOW, clock.now)
    nowhere = Broker("redis://127.0.0.1:1/0")
    send_chunks(workshop.database, nowhere, turns)
    nowhere.close()
    marked = select(func.count()).where(chunks.c.job_id == job.id, chunks.c.sent_at.is_not(None))
    with workshop.database.reading() as connection:
        assert connection.execute(marked).scalar_one() == 0


@pytest.mark.parametrize(("workers", "size"), [(0, 4), (1, 4), (2, 4), (3, 6), (20, 40)])
def test_the_window_grows_with_the_workers(workers: int, size: int) -> None:
    assert window_size(workers) == size


def test_a_stream_of_small_jobs_does_not_hold_a_large_one_up(workshop: Workshop, clock: Clock) -> None:
    large = planned_job(workshop.database, chunk_count=50)
    workers = Workers(workshop, clock, [large])
    workers.fill()
    workers.work(WINDOW)
    for _ in range(100):
        workers.add(planned_job(workshop.database, chunk_count=1))
        workers.work(1)
    turns = [index for index, job_id in enumerate(workers.order) if job_id == large.id]
    most_seconds = 0.3 * max(after - before for before, after in pairwise([*turns, len(workers.order)]))
    assert most_seconds < HEAD_START_SECONDS + 0.3 * 3 * WINDOW


def test_a_claim_of_another_chunk_is_no_reason_to_pass_a_job_over(workshop: Workshop, clock: Clock) -> None:
    database = workshop.database
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    job = planned_job(database, chunk_count=9)
    attempt = {"job_id": job.id, "index": 8, "attempt": 1, "worker": "w", "started_at": clock.now}
    with database.writing() as claiming, database.writing() as committing:
        claiming.execute(insert(attempts).values(**attempt))
        assert take_window(committing, WINDOW, clock.now) == [(job.id, index) for index in range(WINDOW)]
