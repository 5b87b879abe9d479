"""A short form of ``make fuzz``: the first requests of a seed, of which none may be answered with a fault."""

from __future__ import annotations

import pytest

from tests.builders import AddedModel
from tests.contract.conftest import Served
from tests.fuzz.requests import Maker
from tests.fuzz.run import fuzz
from tests.fuzz.sensible import about_tables

SEED = 2026
REQUESTS = 2000


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The database that most people have; `make fuzz` takes either."""
    return sqlite_url


def test_no_request_is_answered_with_a_fault(served: Served, wine: AddedModel) -> None:
    document = served.get("/openapi.json").json
    jobs = [served.work(served.submit())["id"], served.submit()["id"]]
    right = about_tables("wine", wine.sample.read_bytes())
    app = served.client.application
    outcome = fuzz(app, document, jobs, right, seed=SEED, numbers=range(REQUESTS))
    assert outcome.faults == []
    assert outcome.statuses.total() == REQUESTS
    # they get somewhere: an address or a method that is not there is the smaller part
    assert sum(outcome.statuses[status] for status in (404, 405)) < REQUESTS * 0.5
    assert {sent.path: outcome.good[sent.path] > 10 for sent in right} == {sent.path: True for sent in right}


def test_a_request_can_be_made_again() -> None:
    first, again = (Maker(7, {"/jobs/{job_id}": ["GET"]}, ["model"], ["x"]) for _ in range(2))
    assert [first.make(number) for number in range(50)] == [again.make(number) for number in range(50)]
