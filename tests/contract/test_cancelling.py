"""A cancelled job stops in each of its states: with nobody to work on it, and in mid-chunk."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from base.database import Database
from jobs import heartbeat, reading, rows
from jobs.errors import LostLease
from jobs.lifecycle import ending, steps
from jobs.records import Job, StepClaim
from jobs.running import run_chunk
from jobs.scoring import Scorer
from tests.builders import LEASE_SECONDS, MAX_ATTEMPTS, OWNER, claim_chunk, new_job, planned_job
from tests.contract.conftest import Served
from tests.waiting import wait_until


def test_no_worker_is_needed(served: Served) -> None:
    job = served.submit()
    answer = served.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json["status"]) == (202, "cancelled")
    assert served.post(f"/jobs/{job['id']}/cancel").json["finished_at"] == answer.json["finished_at"]
    assert served.plan(job) == 0


def claim_step(database: Database, job: Job, kind: str) -> StepClaim | None:
    claim = {"planning": steps.claim_planning, "finishing": steps.claim_finishing}[kind]
    return claim(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)


def end_step(database: Database, claim: StepClaim, kind: str) -> None:
    if kind == "planning":
        steps.planned(database, claim, [], steps.Prepared())
    else:
        steps.finished(database, claim, {"file": "r", "bytes": 1, "sha256": "3" * 64}, ttl_seconds=60)


@pytest.mark.parametrize("kind", ["planning", "finishing"])
def test_a_cancelled_step_does_not_begin(database: Database, kind: str) -> None:
    job = new_job(database) if kind == "planning" else planned_job(database, chunk_count=0)
    ending.cancel(database, OWNER, job.id)
    assert claim_step(database, job, kind) is None
    assert reading.find_job(database, OWNER, job.id).status == "cancelled"


@pytest.mark.parametrize("kind", ["planning", "finishing"])
def test_a_cancelled_step_does_not_count(database: Database, kind: str) -> None:
    job = new_job(database) if kind == "planning" else planned_job(database, chunk_count=0)
    claim = claim_step(database, job, kind)
    assert claim is not None
    ending.cancel(database, OWNER, job.id)
    with pytest.raises(LostLease):
        end_step(database, claim, kind)
    assert reading.find_job(database, OWNER, job.id).status == "cancelled"


def test_a_cancelled_chunk_does_not_begin(database: Database) -> None:
    job = planned_job(database)
    ending.cancel(database, OWNER, job.id)
    assert claim_chunk(database, job, 0) is None


def test_a_long_chunk_stops_within_a_call_of_the_estimator(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = served.submit(chunk_rows=100)
    served.plan(job)
    calls = 0
    started, go_on = threading.Event(), threading.Event()
    real = rows.scorer_of

    def slow(model: Any, outputs: Any) -> Scorer:
        scorer = real(model, outputs)

        def predict(data: Any) -> pa.Table:
            nonlocal calls
            calls += 1
            started.set()
            assert go_on.wait(60)
            return scorer.predict(data)

        return replace(scorer, predict=predict, call_rows=10)

    monkeypatch.setattr(rows, "scorer_of", slow)
    monkeypatch.setattr(heartbeat, "CHECK_SECONDS", 0.0)
    worker = threading.Thread(target=run_chunk, args=(served.workshop, job["id"], 0))
    worker.start()
    assert started.wait(60)
    served.post(f"/jobs/{job['id']}/cancel")
    go_on.set()
    wait_until(lambda: not worker.is_alive(), "the attempt is given up")
    assert calls == 1  # of ten
    ended = served.job(job)
    assert (ended["status"], ended["rows"]["done"]) == ("cancelled", 0)
    assert not list(served.workshop.files.path("jobs").rglob("*.parquet"))
