"""A clock that was ahead and was set back: what it wrote into the database keeps nobody waiting."""

from __future__ import annotations

import pytest
import redis

from base.broker import QUEUE, TICK_KEY, plain_redis_url
from jobs import reading
from jobs.caretaker import Caretaker
from jobs.lifecycle import steps
from jobs.lifecycle.chunks import release
from jobs.lifecycle.guards import LONGEST_PAUSE_SECONDS
from jobs.lifecycle.presence import seen
from jobs.lifecycle.window import open_window, take_window
from jobs.workshop import Workshop
from tests.builders import LEASE_SECONDS, MAX_ATTEMPTS, claim_chunk, new_job, planned_job
from tests.conftest import Clock
from tests.contract.test_caretaker import queue

AHEAD_SECONDS = 8 * 3600.0
WINDOW = 4
ERROR = {"code": "attempt_failed", "message": "it failed"}


@pytest.mark.parametrize("forgotten", [(QUEUE,), (QUEUE, TICK_KEY)], ids=["messages", "everything"])
def test_lost_messages_that_were_marked_in_the_future_are_sent_again(
    workshop: Workshop, clock: Clock, forgotten: tuple[str, ...]
) -> None:
    caretaker = Caretaker(workshop)
    planned_job(workshop.database, chunk_count=3)
    clock.advance(AHEAD_SECONDS)
    new_job(workshop.database)
    open_window(workshop.database, workshop.broker, WINDOW)
    caretaker.tick()
    clock.advance(-AHEAD_SECONDS)
    with redis.Redis.from_url(plain_redis_url(workshop.settings.redis_url)) as client:
        assert client.delete(*forgotten) == len(forgotten)
    for _ in range(4):
        clock.advance(5)
        caretaker.tick()
    assert queue(workshop) == 4  # three chunks and a plan


def test_one_clock_that_was_ahead_makes_nothing_overtaken(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    caretaker.tick()
    job = planned_job(workshop.database, chunk_count=5)
    clock.advance(AHEAD_SECONDS)
    with workshop.database.writing() as connection:
        assert len(take_window(connection, 1, clock.now)) == 1
    clock.advance(-AHEAD_SECONDS)
    assert claim_chunk(workshop.database, job, 0)
    open_window(workshop.database, workshop.broker, WINDOW)
    waiting = queue(workshop)
    for _ in range(4):
        clock.advance(5)
        caretaker.tick()
    assert queue(workshop) == waiting


def test_a_job_whose_turn_lies_in_the_future_is_not_the_last_for_hours(
    workshop: Workshop, clock: Clock
) -> None:
    unlucky = planned_job(workshop.database, chunk_count=9)
    clock.advance(AHEAD_SECONDS)
    with workshop.database.writing() as connection:
        assert take_window(connection, 1, clock.now) == [(unlucky.id, 0)]
    clock.advance(-AHEAD_SECONDS)
    other = planned_job(workshop.database, chunk_count=9)
    with workshop.database.writing() as connection:
        turns = take_window(connection, 2, clock.now) + take_window(connection, 3, clock.now)
    assert sorted(job_id for job_id, _ in turns) == sorted([unlucky.id, other.id])


def test_a_pause_that_is_longer_than_any_is_over(workshop: Workshop, clock: Clock) -> None:
    database = workshop.database
    job, waiting = planned_job(database, chunk_count=1), new_job(database)
    held = claim_chunk(database, job, 0)
    step = steps.claim_planning(database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert held
    assert step
    release(database, held, ERROR, clock.now + AHEAD_SECONDS)
    steps.release(database, step, ERROR, clock.now + AHEAD_SECONDS)
    Caretaker(workshop).tick()
    assert queue(workshop) == 2
    held = claim_chunk(database, job, 0)
    step = steps.claim_planning(database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert held
    assert step
    release(database, held, ERROR, clock.now + LONGEST_PAUSE_SECONDS)
    steps.release(database, step, ERROR, clock.now + LONGEST_PAUSE_SECONDS)
    assert claim_chunk(database, job, 0) is None, "a pause that may be meant is kept"
    assert steps.claim_planning(database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS) is None


def test_a_sign_of_life_from_the_future_is_none(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    clock.advance(AHEAD_SECONDS)
    seen(workshop.database, "w")
    caretaker.tick()
    clock.advance(-AHEAD_SECONDS)
    assert reading.count_live_workers(workshop.database, 60) == 0
    assert caretaker.stand_in(), "whoever ticked last may be dead for hours"
