"""The caretaker on both databases and a real Redis: what was lost comes back, what only waits does not."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest
import redis
from sqlalchemy import select, text, update

from base.broker import QUEUE, Broker
from base.database import Database
from base.database.tables import chunks, jobs
from base.processes import this_process
from jobs import reading
from jobs.caretaker import Caretaker, recover_chunks, send_due
from jobs.lifecycle import steps
from jobs.lifecycle.window import PLAN, open_window, send_step
from jobs.reading import last_tick
from jobs.workshop import Workshop
from tests.builders import (
    LEASE_SECONDS,
    MAX_ATTEMPTS,
    OWNER,
    claim_chunk,
    commit_chunk,
    dead_process,
    new_job,
    planned_job,
)
from tests.conftest import Clock
from tests.waiting import wait_until


def queue(workshop: Workshop) -> int:
    return workshop.broker.queue_length()


def empty_redis(workshop: Workshop) -> redis.Redis:
    """A client of the test's Redis that has just been wiped."""
    client = redis.Redis.from_url(workshop.settings.redis_url.replace("redis+socket://", "unix://"))
    client.flushall()
    return client


def empty_queue(workshop: Workshop) -> None:
    """Messages are gone, and Redis remembers the rest."""
    client = redis.Redis.from_url(workshop.settings.redis_url.replace("redis+socket://", "unix://"))
    client.delete(QUEUE)
    client.close()


def sent(workshop: Workshop, job_id: str) -> list[int]:
    query = select(chunks.c.index).where(chunks.c.job_id == job_id, chunks.c.sent_at.is_not(None))
    with workshop.database.reading() as connection:
        return sorted(connection.execute(query).scalars())


def test_a_healthy_job_is_left_alone(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    job = planned_job(workshop.database, chunk_count=20)
    open_window(workshop.database, workshop.broker, window=4)
    for _ in range(5):
        caretaker.tick()
        clock.advance(3600)  # however long it waits: a queue that nobody serves is not a loss
    assert queue(workshop) == 4
    assert sent(workshop, job.id) == [0, 1, 2, 3]


def test_a_wiped_redis_gets_its_messages_again(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    planned_job(workshop.database, chunk_count=20)
    waiting = new_job(workshop.database)
    open_window(workshop.database, workshop.broker, window=4)
    caretaker.tick()
    clock.advance(5)
    empty_redis(workshop)
    caretaker.tick()
    assert queue(workshop) == 5  # four chunks and the plan of the job that waits
    assert reading.find_job(workshop.database, OWNER, waiting.id).status == "queued"


def test_a_redis_from_an_old_copy_counts_as_wiped(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    planned_job(workshop.database, chunk_count=2)
    open_window(workshop.database, workshop.broker, window=4)
    for _ in range(3):
        caretaker.tick()
        clock.advance(5)
    client = empty_redis(workshop)
    client.set("rowmill:tick", 1)
    caretaker.tick()
    assert queue(workshop) == 2


def test_an_empty_queue_with_chunks_waiting_is_a_loss_at_the_second_look(
    workshop: Workshop, clock: Clock
) -> None:
    caretaker = Caretaker(workshop)
    caretaker.tick()
    planned_job(workshop.database, chunk_count=2)
    open_window(workshop.database, workshop.broker, window=4)
    client = redis.Redis.from_url(workshop.settings.redis_url.replace("redis+socket://", "unix://"))
    client.delete("celery")
    clock.advance(5)
    caretaker.tick()
    assert queue(workshop) == 0  # a message may just be on its way into a worker
    clock.advance(5)
    caretaker.tick()
    assert queue(workshop) == 2


def test_a_chunk_that_younger_ones_overtook_is_sent_again(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    job = planned_job(workshop.database, chunk_count=6)
    open_window(workshop.database, workshop.broker, window=4)
    caretaker.tick()
    clock.advance(10)
    for index in (1, 2, 3):
        commit_chunk(workshop.database, job, index)  # the message of chunk 0 was lost on its way
    claim_chunk(workshop.database, job, 4)
    clock.advance(10)
    before = queue(workshop)
    caretaker.tick()
    with workshop.database.reading() as connection:
        again = connection.execute(select(chunks.c.sent_at).where(chunks.c.index == 0)).scalar_one()
    assert again == clock.now
    assert queue(workshop) > before


def test_a_step_that_younger_chunks_overtook_is_sent_again(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    caretaker.tick()
    lost = new_job(workshop.database)  # its message was lost on the way, and the queue is never empty
    clock.advance(10)
    busy = planned_job(workshop.database, chunk_count=6)
    open_window(workshop.database, workshop.broker, window=4)
    caretaker.tick()
    assert queue(workshop) == 4
    assert claim_chunk(workshop.database, busy, 0)
    clock.advance(10)
    caretaker.tick()
    assert queue(workshop) == 5
    assert steps.claim_planning(workshop.database, lost.id, LEASE_SECONDS, MAX_ATTEMPTS)


def test_messages_that_were_lost_are_missed_while_plans_are_taken_up(
    workshop: Workshop, clock: Clock
) -> None:
    caretaker = Caretaker(workshop)
    large = planned_job(workshop.database, chunk_count=9)
    caretaker.tick()
    assert sent(workshop, large.id) == [0, 1, 2, 3]
    empty_queue(workshop)
    for _ in range(3):  # the queue is never empty: a file is sent, and planned, whenever the caretaker looks
        clock.advance(5)
        job = new_job(workshop.database)
        send_step(workshop.database, workshop.broker, PLAN, job.id)
        caretaker.tick()
        planned_job(workshop.database, chunk_count=1)
    with workshop.database.reading() as connection:
        first = select(chunks.c.sent_at).where(chunks.c.job_id == large.id, chunks.c.index == 0)
        assert connection.execute(first).scalar_one() >= clock.now - 5


def test_a_plan_that_was_lost_is_missed_while_small_jobs_come_and_end(
    workshop: Workshop, clock: Clock
) -> None:
    caretaker = Caretaker(workshop)
    caretaker.tick()
    lost = new_job(workshop.database)
    keeps_the_queue_busy = new_job(workshop.database)
    for _ in range(3):
        clock.advance(5)
        small = planned_job(workshop.database, chunk_count=1)
        commit_chunk(workshop.database, small, 0)
        send_step(workshop.database, workshop.broker, PLAN, keeps_the_queue_busy.id)
        caretaker.tick()
    assert (reading.find_job(workshop.database, OWNER, lost.id).status) == "queued"
    with workshop.database.reading() as connection:
        again = connection.execute(select(jobs.c.sent_at).where(jobs.c.id == lost.id)).scalar_one()
    assert again > clock.now - 15


def test_without_redis_the_caretaker_is_at_work_all_the_same(workshop: Workshop, clock: Clock) -> None:
    nowhere = Broker(f"redis+socket://{workshop.files.root / 'nowhere.sock'}")
    caretaker = Caretaker(replace(workshop, broker=nowhere))
    for _ in range(3):
        clock.advance(5)
        caretaker.tick()
        assert last_tick(workshop.database) == 0
    assert not Caretaker(workshop).stand_in()
    nowhere.close()


def test_a_silent_worker_loses_its_chunk(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    job = planned_job(workshop.database, chunk_count=1)
    assert claim_chunk(workshop.database, job, 0)
    clock.advance(LEASE_SECONDS - 1)
    caretaker.tick()
    assert reading.list_chunks(workshop.database, job.id)[0].status == "running"
    clock.advance(2)
    caretaker.tick()
    assert reading.list_chunks(workshop.database, job.id)[0].status == "pending"
    assert queue(workshop) == 1


def test_a_dead_workers_chunk_and_step_do_not_wait_for_their_leases(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    job, waiting = planned_job(workshop.database, chunk_count=2), new_job(workshop.database)
    assert claim_chunk(workshop.database, job, 0, worker=dead_process())
    assert claim_chunk(workshop.database, job, 1, worker=this_process())
    assert steps.claim_planning(workshop.database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS, dead_process())
    caretaker.tick()
    assert [chunk.status for chunk in reading.list_chunks(workshop.database, job.id)] == [
        "pending",
        "running",
    ]
    assert queue(workshop) == 2  # the chunk and the plan


def test_a_late_commit_beats_the_caretaker(workshop: Workshop, clock: Clock) -> None:
    database = workshop.database
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time: nothing comes between reading and writing")
    job = planned_job(database, chunk_count=1)
    assert claim_chunk(database, job, 0)
    clock.advance(LEASE_SECONDS + 1)
    caretaker = threading.Thread(target=recover_chunks, args=(workshop,))
    with database.writing() as late:
        late.execute(update(chunks).values(status="done", lease_until=None))
        caretaker.start()  # reads the chunk as running, and has to wait for this commit before it writes
        wait_until(lambda: _waits_for_a_lock(database), "the caretaker waits")
    caretaker.join()
    assert reading.list_chunks(database, job.id)[0].status == "done"


def _waits_for_a_lock(database: Database) -> bool:
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    with database.reading() as connection:
        return bool(connection.execute(query).scalar_one())


def test_a_chunk_that_loses_every_worker_fails_its_job_alone(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    poisoned = planned_job(workshop.database, chunk_count=1)
    other = planned_job(workshop.database, chunk_count=1)
    for _ in range(MAX_ATTEMPTS):
        assert claim_chunk(workshop.database, poisoned, 0)
        clock.advance(LEASE_SECONDS + 1)
        caretaker.tick()
    assert claim_chunk(workshop.database, poisoned, 0) is None
    after = reading.find_job(workshop.database, OWNER, poisoned.id)
    assert (after.status, (after.error or {})["code"]) == ("failed", "worker_lost")
    assert reading.find_job(workshop.database, OWNER, other.id).status == "scoring"


def test_a_job_is_not_stuck_by_a_lowered_limit_of_attempts(workshop: Workshop, clock: Clock) -> None:
    chunk, step = planned_job(workshop.database, chunk_count=1), new_job(workshop.database)
    assert claim_chunk(workshop.database, chunk, 0)
    assert steps.claim_planning(workshop.database, step.id, LEASE_SECONDS, MAX_ATTEMPTS)
    clock.advance(LEASE_SECONDS + 1)
    Caretaker(workshop).tick()  # both wait for a second try
    assert not reading.find_job(workshop.database, OWNER, chunk.id).done
    strict = replace(workshop, settings=workshop.settings.model_copy(update={"max_attempts": 1}))
    Caretaker(strict).tick()
    for job in (chunk, step):
        after = reading.find_job(workshop.database, OWNER, job.id)
        assert (after.status, (after.error or {})["code"]) == ("failed", "attempts_used_up")


def test_a_silent_planner_is_replaced(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    job = new_job(workshop.database)
    assert steps.claim_planning(workshop.database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    clock.advance(LEASE_SECONDS + 1)
    caretaker.tick()
    assert queue(workshop) == 1
    assert steps.claim_planning(workshop.database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)


def test_a_second_planner_whose_message_is_lost_is_sent_another(workshop: Workshop, clock: Clock) -> None:
    caretaker = Caretaker(workshop)
    job = new_job(workshop.database)
    assert steps.claim_planning(workshop.database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    clock.advance(LEASE_SECONDS + 1)
    caretaker.tick()
    empty_redis(workshop)
    clock.advance(5)
    caretaker.tick()
    assert queue(workshop) == 1


def test_several_caretakers_send_each_message_once(workshop: Workshop, clock: Clock) -> None:
    for _ in range(3):
        planned_job(workshop.database, chunk_count=20)
    for _ in range(4):
        for caretaker in [Caretaker(workshop) for _ in range(3)]:
            caretaker.tick()
        send_due(workshop)
        clock.advance(5)
    assert queue(workshop) == 4


def test_a_deadline_ends_a_job(workshop: Workshop, clock: Clock) -> None:
    job = new_job(workshop.database, deadline_seconds=10.0)
    clock.advance(11)
    Caretaker(workshop).tick()
    assert (reading.find_job(workshop.database, OWNER, job.id).error or {})["code"] == "deadline_passed"


def test_files_go_when_their_time_is_over(workshop: Workshop, clock: Clock) -> None:
    job = new_job(workshop.database, ttl_seconds=100.0)
    folder = workshop.files.root / "inputs" / job.input_id
    folder.mkdir(parents=True)
    (folder / "received").write_bytes(b"a\n1\n")
    with workshop.database.writing() as connection:
        connection.execute(update(jobs).values(status="succeeded"))
    Caretaker(workshop).tick()
    assert folder.exists()
    clock.advance(101)
    Caretaker(workshop).tick()
    assert not folder.exists()
    assert reading.find_job(workshop.database, OWNER, job.id).expired_at == clock.now


def test_what_no_row_needs_is_removed_once_it_is_old(workshop: Workshop, clock: Clock) -> None:
    kept, over = new_job(workshop.database), new_job(workshop.database, ttl_seconds=1.0)
    with workshop.database.writing() as connection:
        # the caretaker died between this commit and the removal of the files
        connection.execute(update(jobs).where(jobs.c.id == over.id).values(expired_at=clock.now))
    names = [f"inputs/{kept.input_id}", f"jobs/{kept.id}", f"inputs/{over.input_id}", f"jobs/{over.id}"]
    names += ["inputs/unknown", "staging/half-a-file", "staging/of-today"]
    for name in names:
        path = workshop.files.root / name
        path.mkdir(parents=True)
        (path / "data").touch()
        if name != "staging/of-today":
            os.utime(path, (0, 0))
    Caretaker(workshop).tick()
    assert [name for name in names if (workshop.files.root / name).exists()] == [*names[:2], names[-1]]
