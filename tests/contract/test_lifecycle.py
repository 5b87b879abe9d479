"""What may happen to jobs and chunks, on SQLite and on Postgres: every write is guarded, losing is normal."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from base.database import Database
from base.database.tables import attempts
from base.processes import this_process
from jobs import reading
from jobs.errors import LostLease, Problem
from jobs.lifecycle import chunks, ending, steps
from jobs.lifecycle.submission import accept
from jobs.lifecycle.window import take_window
from jobs.states import JobStatus
from tests.builders import (
    LEASE_SECONDS,
    MAX_ATTEMPTS,
    OWNER,
    claim_chunk,
    commit_chunk,
    dead_process,
    new_job,
    planned_job,
    scored,
    submission,
)
from tests.conftest import Clock


def status_of(database: Database, job_id: str) -> str:
    return reading.find_job(database, OWNER, job_id).status


def test_a_job_goes_from_queued_to_succeeded(database: Database) -> None:
    job = planned_job(database, chunk_count=2)
    assert not commit_chunk(database, job, 0, rows=5).finishing
    assert commit_chunk(database, job, 1, rows=7, failed=2).finishing
    claim = steps.claim_finishing(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert claim is not None
    steps.finished(database, claim, {"file": "r", "bytes": 1, "sha256": "3" * 64}, ttl_seconds=60)
    after = reading.find_job(database, OWNER, job.id)
    assert (after.status, after.rows_total, after.rows_done, after.rows_failed) == ("succeeded", 12, 12, 2)
    assert after.error_counts == {"not_a_number:a": 2}


def test_one_of_many_claims_wins(database: Database) -> None:
    job = planned_job(database)
    barrier = threading.Barrier(6)
    won: list[bool] = []

    def compete(number: int) -> None:
        barrier.wait()
        won.append(claim_chunk(database, job, 0, worker=f"w{number}") is not None)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]


def test_two_last_commits_at_once_open_the_finish_once(database: Database) -> None:
    job = planned_job(database, chunk_count=2)
    claims = [claim_chunk(database, job, index) for index in range(2)]
    barrier = threading.Barrier(2)
    opened: list[bool] = []

    def commit(index: int) -> None:
        claim = claims[index]
        assert claim is not None
        barrier.wait()
        opened.append(chunks.commit(database, claim, scored(), window=4).finishing)

    threads = [threading.Thread(target=commit, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False, True]


def test_a_late_attempt_is_fenced_off(database: Database, clock: Clock) -> None:
    job = planned_job(database)
    frozen = claim_chunk(database, job, 0, worker="frozen")
    assert frozen is not None
    clock.advance(LEASE_SECONDS + 1)
    other = claim_chunk(database, job, 0, worker="other")
    assert other is not None
    assert other.attempt == 2
    assert not chunks.renew(database, frozen, LEASE_SECONDS)
    with pytest.raises(LostLease):
        chunks.commit(database, frozen, scored(), window=4)
    assert reading.find_job(database, OWNER, job.id).rows_done == 0
    chunks.commit(database, other, scored(rows=5), window=4)
    assert reading.find_job(database, OWNER, job.id).rows_done == 5
    with database.reading() as connection:
        found = connection.execute(select(attempts.c.outcome).order_by(attempts.c.attempt)).scalars().all()
    assert found == ["lost", "done"]


def test_a_lease_from_a_clock_that_jumped_counts_as_over(database: Database, clock: Clock) -> None:
    job = planned_job(database)
    clock.advance(10 * LEASE_SECONDS)
    assert claim_chunk(database, job, 0) is not None
    clock.advance(-10 * LEASE_SECONDS)
    assert claim_chunk(database, job, 0) is not None


def test_a_dead_holder_holds_nothing(database: Database, clock: Clock) -> None:
    job, waiting = planned_job(database), new_job(database)
    alive, dead = this_process(), dead_process()
    assert claim_chunk(database, job, 0, worker=alive)
    assert claim_chunk(database, job, 1, worker=dead)
    assert claim_chunk(database, job, 0) is None
    again = claim_chunk(database, job, 1)
    assert again is not None
    assert (again.attempt, again.crashes) == (2, 1)
    with database.reading() as connection:
        query = select(attempts.c.outcome, attempts.c.reason).where(attempts.c.index == 1)
        outcome, reason = connection.execute(query.order_by(attempts.c.attempt)).first() or ("", "")
    assert (outcome, reason) == ("lost", f"its process {dead} ended")
    assert steps.claim_planning(database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS, dead)
    second = steps.claim_planning(database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS, alive)
    assert second is not None
    assert second.attempt == 2
    assert steps.claim_planning(database, waiting.id, LEASE_SECONDS, MAX_ATTEMPTS) is None


def test_a_full_disk_burns_no_attempt(database: Database, clock: Clock) -> None:
    job = planned_job(database, chunk_count=20)
    error = {"code": "attempt_failed", "message": "no space left"}
    for _ in range(3 * MAX_ATTEMPTS):
        claim = claim_chunk(database, job, 0)
        assert claim is not None
        chunks.release(database, claim, error, clock.now + 60, chunks.NO_ROOM)
        clock.advance(60)
    for number in range(MAX_ATTEMPTS):
        claim = claim_chunk(database, job, 0)
        assert claim is not None
        assert (claim.attempt, claim.crashes) == (3 * MAX_ATTEMPTS + number + 1, 0)
        chunks.release(database, claim, error, clock.now)
    assert claim_chunk(database, job, 0) is None


def test_chunks_that_wait_for_room_keep_their_places_in_the_window(database: Database, clock: Clock) -> None:
    job = planned_job(database, chunk_count=20)
    for index in range(4):
        claim = claim_chunk(database, job, index)
        assert claim is not None
        chunks.release(database, claim, {"code": "", "message": ""}, clock.now + 60, chunks.NO_ROOM)
    with database.writing() as connection:
        assert take_window(connection, 4, clock.now) == []
        assert take_window(connection, 4, clock.now + 60) == [(job.id, index) for index in range(4)]


def test_a_committed_chunk_is_never_claimed_again(database: Database, clock: Clock) -> None:
    job = planned_job(database)
    commit_chunk(database, job, 0)
    clock.advance(10 * LEASE_SECONDS)
    assert claim_chunk(database, job, 0) is None


def test_a_failed_attempt_waits_for_its_time(database: Database, clock: Clock) -> None:
    job = planned_job(database)
    claim = claim_chunk(database, job, 0)
    assert claim is not None
    error = {"code": "attempt_failed", "message": "OSError: no space"}
    chunks.release(database, claim, error, retry_at=clock.now + 4)
    assert claim_chunk(database, job, 0) is None
    clock.advance(4)
    assert claim_chunk(database, job, 0) is not None


def test_a_chunk_that_cannot_be_tried_again_fails_its_job(database: Database) -> None:
    job = planned_job(database)
    claim = claim_chunk(database, job, 0)
    assert claim is not None
    chunks.release(database, claim, {"code": "unreadable_bytes", "message": "broken"}, retry_at=None)
    after = reading.find_job(database, OWNER, job.id)
    assert (after.status, after.error) == ("failed", {"code": "unreadable_bytes", "message": "broken"})
    assert claim_chunk(database, job, 1) is None


def test_nothing_commits_after_a_cancel(database: Database) -> None:
    job = planned_job(database)
    claim = claim_chunk(database, job, 0)
    assert claim is not None
    ending.cancel(database, OWNER, job.id)
    assert not chunks.renew(database, claim, LEASE_SECONDS)
    with pytest.raises(LostLease):
        chunks.commit(database, claim, scored(), window=4)
    assert status_of(database, job.id) == JobStatus.CANCELLED


def test_an_ended_job_stays_as_it_is(database: Database) -> None:
    job = planned_job(database, chunk_count=0)
    claim = steps.claim_finishing(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert claim is not None
    steps.finished(database, claim, {"file": "r", "bytes": 1, "sha256": "3" * 64}, ttl_seconds=60)
    ending.cancel(database, OWNER, job.id)
    with pytest.raises(LostLease):
        steps.finished(database, claim, {"file": "x", "bytes": 1, "sha256": "4" * 64}, ttl_seconds=60)
    assert status_of(database, job.id) == JobStatus.SUCCEEDED


def test_a_second_planner_replaces_the_cuts_of_a_silent_one(database: Database, clock: Clock) -> None:
    job = new_job(database)
    silent = steps.claim_planning(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert silent is not None
    assert steps.claim_planning(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS) is None
    clock.advance(LEASE_SECONDS + 1)
    second = steps.claim_planning(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert second is not None
    with pytest.raises(LostLease):
        steps.planned(database, silent, [], steps.Prepared())
    steps.planned(database, second, [], steps.Prepared())
    assert status_of(database, job.id) == JobStatus.FINISHING


@pytest.mark.parametrize(
    ("options", "failed", "code"),
    [
        ({"on_error": "fail"}, 1, "row_error"),
        ({"max_row_errors": "2"}, 3, "too_many_row_errors"),
        ({"max_row_errors": "2"}, 2, None),
        ({"max_row_errors": "50%", "rows_total": 10}, 6, "too_many_row_errors"),
        ({"max_row_errors": "60%", "rows_total": 10}, 6, None),
    ],
)
def test_the_limit_of_row_errors_is_the_users(
    database: Database, options: dict[str, object], failed: int, code: str | None
) -> None:
    job = planned_job(database, chunk_count=2, **options)
    commit_chunk(database, job, 0, rows=10, failed=failed)
    after = reading.find_job(database, OWNER, job.id)
    assert (after.error or {}).get("code") == code
    assert after.done == (code is not None)


def test_a_share_of_row_errors_is_judged_at_the_end_though_the_last_chunk_is_clean(
    database: Database,
) -> None:
    job = planned_job(database, chunk_count=2, max_row_errors="10%")
    commit_chunk(database, job, 0, rows=10, failed=5)
    assert status_of(database, job.id) == JobStatus.SCORING  # the total is not known yet
    assert not commit_chunk(database, job, 1, rows=10).finishing
    assert (reading.find_job(database, OWNER, job.id).error or {})["code"] == "too_many_row_errors"


@pytest.mark.parametrize("kind", ["chunk", "step"])
def test_an_overtaken_attempt_cannot_fail_its_job(database: Database, clock: Clock, kind: str) -> None:
    error = {"code": "unreadable_bytes", "message": "broken"}
    if kind == "chunk":
        job = planned_job(database)
        frozen = claim_chunk(database, job, 0)
        clock.advance(LEASE_SECONDS + 1)
        assert frozen
        assert claim_chunk(database, job, 0)
        chunks.release(database, frozen, error, retry_at=None)
    else:
        job = new_job(database)
        silent = steps.claim_planning(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
        clock.advance(LEASE_SECONDS + 1)
        assert silent
        assert steps.claim_planning(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
        steps.release(database, silent, error, retry_at=None)
    assert not reading.find_job(database, OWNER, job.id).done


def test_one_idempotency_key_makes_one_job(database: Database) -> None:
    first, is_new = accept(database, submission(idempotency_key="k", request_sha256="8" * 64))
    assert is_new
    again, is_new = accept(database, submission(idempotency_key="k", request_sha256="8" * 64))
    assert (again.id, is_new) == (first.id, False)
    with pytest.raises(Problem, match="another file"):
        accept(database, submission(idempotency_key="k", request_sha256="9" * 64))


def test_jobs_of_others_do_not_exist(database: Database) -> None:
    job = new_job(database)
    with pytest.raises(Problem, match="no job"):
        reading.find_job(database, "somebody", job.id)
    ending.cancel(database, "somebody", job.id)
    assert status_of(database, job.id) == JobStatus.QUEUED
    assert (
        reading.list_jobs(database, "somebody", status=None, model=None, tag=None, before=None, limit=9) == []
    )


def test_lists_are_newest_first_and_filtered(database: Database) -> None:
    jobs = [new_job(database, tags=[f"t{number % 2}", "100%", "märz"]) for number in range(5)]

    def ids(**filters: object) -> list[str]:
        everything = {"status": None, "model": None, "tag": None, "before": None, "limit": 99}
        return [job.id for job in reading.list_jobs(database, OWNER, **(everything | filters))]  # type: ignore[arg-type]

    newest_first = [job.id for job in reversed(jobs)]
    assert ids() == newest_first
    assert ids(limit=2) == newest_first[:2]
    assert ids(before=newest_first[1]) == newest_first[2:]
    assert ids(tag="t1") == [newest_first[1], newest_first[3]]
    assert len(ids(tag="100%")) == 5
    assert len(ids(tag="märz")) == 5
    assert ids(tag="%") == []
    assert ids(model="wine@2") == ids(model="beer") == ids(status="failed") == []


def test_errors_are_numbered_from_the_start_of_the_file(database: Database) -> None:
    job = planned_job(database, chunk_count=3)
    commit_chunk(database, job, 2, rows=4, failed=1)
    early = reading.view_job(database, OWNER, job.id).errors_preview
    assert [error["row"] for error in early] == [None]  # nobody knows yet how many rows come before
    commit_chunk(database, job, 0, rows=5)
    commit_chunk(database, job, 1, rows=6, failed=1)
    shown = reading.view_job(database, OWNER, job.id).errors_preview
    assert [(error["row"], error["line"]) for error in shown] == [(5, 6), (11, 12)]
