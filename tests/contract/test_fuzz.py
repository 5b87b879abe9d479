"""A short form of ``make fuzz``: the first requests of a seed, of which none may be answered with a fault."""

from __future__ import annotations

import pytest

from base.access import keys
from base.access.callers import Role
from tests.builders import AddedModel
from tests.contract.conftest import Served
from tests.fuzz.requests import Maker, Sent
from tests.fuzz.run import Outcome, fuzz
from tests.fuzz.sensible import about_tables

SEED = 2026
REQUESTS = 1400
KEYED_REQUESTS = 600


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The database that most people have; `make fuzz` takes either."""
    return sqlite_url


def test_no_request_is_answered_with_a_fault(served: Served, wine: AddedModel) -> None:
    outcome, right = fuzzed(served, wine, REQUESTS, [{}])
    assert outcome.faults == []
    assert outcome.statuses.total() == REQUESTS
    # they get somewhere: an address or a method that is not there is the smaller part
    assert sum(outcome.statuses[status] for status in (404, 405)) < REQUESTS * 0.5
    assert {sent.path: outcome.good[sent.path] > 10 for sent in right} == {sent.path: True for sent in right}


def test_nor_is_one_where_keys_are_asked_for(guarded: Served, wine: AddedModel) -> None:
    _, text = keys.add(guarded.workshop.database, "alice", Role.SUBMIT)
    guarded.client.environ_base["HTTP_X_API_KEY"] = text
    logins = [f"Bearer {text[:-4]}aaaa", "Basic \xff", f"Bearer {text}"]
    shown = [{}, *({"HTTP_AUTHORIZATION": login} for login in logins)]
    outcome, right = fuzzed(guarded, wine, KEYED_REQUESTS, shown)
    assert outcome.faults == []
    assert outcome.statuses[401] > KEYED_REQUESTS * 0.5
    assert sum(outcome.good[sent.path] for sent in right) > KEYED_REQUESTS * 0.05


def fuzzed(
    served: Served, wine: AddedModel, requests: int, shown: list[dict[str, str]]
) -> tuple[Outcome, list[Sent]]:
    """What came of the first requests, and the right ones that they were made of."""
    document = served.get("/openapi.json").json
    jobs = [served.submit()["id"] for _ in range(2)]
    served.complete({"id": jobs[0]})
    right = about_tables("wine", wine.sample.read_bytes())
    app = served.client.application
    numbers = range(requests)
    return fuzz(app, document, jobs, right, seed=SEED, numbers=numbers, shown=shown), right


def test_a_request_can_be_made_again() -> None:
    first, again = (Maker(7, {"/jobs/{job_id}": ["GET"]}, ["model"], ["x"]) for _ in range(2))
    assert [first.make(number) for number in range(50)] == [again.make(number) for number in range(50)]
