"""What time does to jobs: deadlines end them, and after the time to live only the row stays."""

from __future__ import annotations

import pytest

from jobs import reading
from jobs.caretaker import Caretaker
from jobs.errors import LostLease
from jobs.lifecycle import chunks
from tests.builders import LEASE_SECONDS, OWNER, claim_chunk, scored
from tests.conftest import Clock
from tests.contract.conftest import Served

ROUTES = (
    "result",
    "result.parquet",
    "result.csv",
    "result.jsonl",
    "result?partial=1",
    "result.csv?partial=1",
    "result.jsonl?partial=1",
    "preview",
    "errors.jsonl",
    "errors.csv",
)


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_after_its_time_nothing_but_the_job_is_left(served: Served, clock: Clock, end: str) -> None:
    job = served.submit(ttl="1h")
    served.plan(job)
    served.score(job, 0)
    clock.advance(7200)  # the time to live counts from the end
    if end == "succeeded":
        served.work(job)
    elif end == "cancelled":
        served.post(f"/jobs/{job['id']}/cancel")
    else:
        served.fail(job, 1)
    clock.advance(3590)
    Caretaker(served.workshop).tick()
    before = served.get(f"/jobs/{job['id']}/result?partial=1")
    assert before.status_code == 200
    clock.advance(11)
    Caretaker(served.workshop).tick()
    for route in ROUTES:
        answer = served.get(f"/jobs/{job['id']}/{route}")
        assert (answer.status_code, answer.json["code"]) == (410, "result_expired")
        assert "ttl" in answer.json["detail"]
    after = served.job(job)
    assert (after["status"], after["result"], set(after["links"])) == (end, None, {"self"})
    assert not list(served.workshop.files.path("inputs").iterdir())


def test_the_time_to_live_counts_from_the_end(served: Served, clock: Clock) -> None:
    job = served.submit(ttl="1h")
    clock.advance(7200)
    Caretaker(served.workshop).tick()  # it waits, however long: files of a job that has not ended stay
    assert served.work(job)["status"] == "succeeded"
    clock.advance(3500)
    Caretaker(served.workshop).tick()
    assert served.get(f"/jobs/{job['id']}/result").status_code == 200


def test_a_deadline_ends_a_job_that_waits(served: Served, clock: Clock) -> None:
    job = served.submit(deadline="10s")
    clock.advance(9)
    Caretaker(served.workshop).tick()
    assert not served.job(job)["done"]
    clock.advance(2)
    Caretaker(served.workshop).tick()
    ended = served.job(job)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "deadline_passed")
    assert served.plan(job) == 0


def test_a_deadline_ends_a_job_that_runs(served: Served, clock: Clock) -> None:
    database = served.workshop.database
    job = served.submit(deadline="10s")
    served.plan(job)
    served.score(job, 0)
    held = claim_chunk(database, reading.find_job(database, OWNER, job["id"]), 1)
    assert held
    clock.advance(11)
    Caretaker(served.workshop).tick()
    assert not chunks.renew(database, held, LEASE_SECONDS)
    with pytest.raises(LostLease):
        chunks.commit(database, held, scored(), window=4)
    served.score(job, 2)
    ended = served.job(job)
    assert (ended["error"]["code"], ended["chunks"]["done"]) == ("deadline_passed", 1)
    assert served.get(f"/jobs/{job['id']}/result?partial=1").status_code == 200


def test_a_deadline_that_was_kept_changes_nothing(served: Served, clock: Clock) -> None:
    job = served.work(served.submit(deadline="10s"))
    clock.advance(11)
    Caretaker(served.workshop).tick()
    assert served.job(job)["status"] == "succeeded"
