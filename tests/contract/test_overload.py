"""Where the queue is full new work is refused, and what was accepted before is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contract.conftest import Served


@pytest.fixture
def full(served: Served) -> Served:
    """A server with as many open jobs as there may be, which is one; it was sent under the key `first`."""
    app = served.client.application
    settings = served.workshop.settings.model_copy(update={"max_open_jobs": 1})
    app.extensions["workshop"] = replace(served.workshop, settings=settings)
    assert submit(served, key="first").status_code == 202
    return served


def submit(served: Served, key: str = "other", **options: object) -> Any:
    headers = {"Idempotency-Key": key}
    query = {"model": "wine", **options}
    return served.client.post("/jobs", query_string=query, data=served.csv(), headers=headers)


def test_a_full_queue_takes_no_job(full: Served) -> None:
    answer = submit(full)
    assert (answer.status_code, answer.json["code"]) == (503, "queue_full")
    assert answer.headers["Retry-After"] == "10"
    form = {"file": (full.workshop.files.root / "nothing").name, "model": "wine"}
    assert full.client.post("/jobs", data=form).json["code"] == "queue_full"
    assert len(full.get("/jobs").json["jobs"]) == 1


def test_a_full_queue_still_knows_what_it_accepted(full: Served) -> None:
    answer = submit(full, key="first")
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (202, "true")


def test_a_dry_run_makes_no_job_and_may_pass(full: Served) -> None:
    assert submit(full, dry_run=1).status_code == 200


def test_there_is_room_again_when_a_job_has_ended(full: Served) -> None:
    job = full.get("/jobs").json["jobs"][0]
    assert full.post(f"{job['links']['cancel']}").status_code == 202
    assert submit(full).status_code == 202
    for way in ("retry", "clone"):
        again = full.post(f"/jobs/{job['id']}/{way}")
        assert (again.status_code, again.json["code"]) == (503, "queue_full")
