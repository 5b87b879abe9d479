"""What an owner may have at once is counted in the database, so that nobody slips through together."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import update

from base.access import keys
from base.access.callers import Role
from base.database import Database
from base.database.tables import inputs, jobs
from jobs.errors import Problem
from jobs.lifecycle.quotas import Quota
from jobs.lifecycle.submission import NewJob, accept, accept_child
from tests.builders import new_job, submission
from tests.contract.conftest import Served


def attempt(database: Database, quota: Quota, **changes: Any) -> bool:
    """Whether a submission is accepted."""
    try:
        accept(database, submission(**changes), quota)
    except Problem as refused:
        if refused.code != "quota_exceeded":
            raise
        return False
    return True


@pytest.mark.parametrize(
    "quota", [Quota(max_open_jobs=3), Quota(max_stored_bytes=300), Quota(3, 300)], ids=str
)
def test_of_submissions_at_once_only_one_gets_the_last_place(database: Database, quota: Quota) -> None:
    for _ in range(2):
        assert attempt(database, quota)
    together, accepted = threading.Barrier(6), list[bool]()

    def submit() -> None:
        together.wait()
        accepted.append(attempt(database, quota))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(accepted) == [False] * 5 + [True]


def test_what_has_ended_is_not_open_and_what_expired_is_not_stored(database: Database) -> None:
    new_job(database, owner="bob", input_bytes=10**12)
    job = new_job(database, input_bytes=60)
    assert not attempt(database, Quota(max_open_jobs=1))
    assert attempt(database, Quota(max_open_jobs=2, max_stored_bytes=160))
    with database.writing() as connection:
        ended = {"status": "succeeded", "result": {"file": "r", "bytes": 3 << 32, "sha256": "0"}}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**ended))
    assert attempt(database, Quota(max_open_jobs=2))
    now_stored = 60 + (3 << 32) + 200
    assert not attempt(database, Quota(max_stored_bytes=now_stored + 99))
    assert attempt(database, Quota(max_stored_bytes=now_stored + 100))
    with database.writing() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(expired_at=1.0))
    assert attempt(database, Quota(max_stored_bytes=400))


def test_a_child_is_a_job_and_shares_its_input(database: Database) -> None:
    parent = new_job(database, input_bytes=100)
    fields = {name: getattr(submission(), name) for name in NewJob.__dataclass_fields__}
    child = NewJob(**fields | {"input_id": parent.input_id})
    for full in (Quota(max_open_jobs=1), Quota(max_stored_bytes=100)):
        with pytest.raises(Problem, match="may have"):
            accept_child(database, child, parent.id, full)
    assert accept_child(database, child, parent.id, Quota(2, 101))[1]


def test_a_key_has_limits_of_its_own(guarded: Served) -> None:
    served = guarded
    _, text = keys.add(served.workshop.database, "alice", Role.SUBMIT, max_open_jobs=1)
    shown = {"X-API-Key": text, "Idempotency-Key": "monday"}
    query = {"model": "wine"}
    first = served.client.post("/jobs", query_string=query, data=served.csv(), headers=shown)
    assert first.status_code == 202
    again = served.client.post("/jobs", query_string=query, data=served.csv(), headers=shown)
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    shown["Idempotency-Key"] = "tuesday"
    refused = served.client.post("/jobs", query_string=query, data=served.csv(), headers=shown)
    assert (refused.status_code, refused.json["code"]) == (403, "quota_exceeded")
    with served.workshop.database.reading() as connection:
        assert len(connection.execute(inputs.select()).all()) == 1
    assert not list((served.workshop.files.root / "staging").iterdir())
