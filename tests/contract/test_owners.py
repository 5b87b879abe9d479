"""Two owners on one server: no route shows one what belongs to the other, whatever the method.

The routes are those that the app has, so one that is added is tried too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from api.auth import OPEN_PATHS
from api.protocol_errors import protocol_of
from base.access import keys
from base.access.callers import Role
from tests.contract.conftest import Served

Headers = dict[str, str]
LOOKING = {"GET", "HEAD"}


def key(served: Served, owner: str, role: Role = Role.SUBMIT) -> Headers:
    return {"X-API-Key": keys.add(served.workshop.database, owner, role)[1]}


def calls(served: Served, job_id: str) -> Iterator[tuple[str, str, str]]:
    """Every route with each of its methods: endpoint, method, and an address about the job."""
    for rule in served.client.application.url_map.iter_rules():
        path = re.sub(r"<[^>]*job_id>", job_id, rule.rule)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield rule.endpoint, method, re.sub(r"<[^>]*>", "wine", path)


def send(served: Served, method: str, path: str, headers: Headers, **more: Any) -> Any:
    answer = served.client.open(path, method=method, headers=headers, buffered=True, **more)
    answer.close()
    return answer


def code_of(answer: Any, path: str) -> str | None:
    """The code of a refusal; None where there is no body, or the protocol of the route has another form."""
    told = protocol_of(path) is None and answer.mimetype == "application/problem+json" and answer.text
    return answer.json["code"] if told else None


def submit(served: Served, headers: Headers, **options: Any) -> dict[str, Any]:
    query = {"model": "wine", **options}
    answer = send(served, "POST", "/jobs", headers, query_string=query, data=served.csv())
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json
    return job


def finish(served: Served, job: dict[str, Any], headers: Headers) -> dict[str, Any]:
    """Do the job's work, as a worker would, and return it as its owner sees it."""
    served.complete(job)
    done: dict[str, Any] = send(served, "GET", f"/jobs/{job['id']}", headers).json
    assert done["status"] == "succeeded"
    return done


def test_no_route_shows_the_job_of_another_owner(guarded: Served) -> None:
    alice, bob = key(guarded, "alice"), key(guarded, "bob")
    job = submit(guarded, alice, name="payroll", tags="secret")
    job = finish(guarded, job, alice)
    tried = set()
    for _, method, path in calls(guarded, job["id"]):
        answer = send(guarded, method, path, bob)
        assert answer.status_code < 500, (method, path)
        if job["id"] in path:
            tried.add(path)
            assert answer.status_code == 404, (method, path)
            assert method == "HEAD" or answer.json["code"] == "job_not_found"
        told = answer.text.replace(path, "").replace(repr(job["id"]), "")  # what was asked for, at most
        words = (job["id"], "payroll", "alice", "secret")
        assert not [word for word in words if word in told], (method, path)
    assert f"/jobs/{job['id']}/result.csv" in tried
    assert send(guarded, "GET", f"/jobs/{job['id']}", alice).json == job


def test_what_another_owner_sends_meets_nothing_of_mine(guarded: Served) -> None:
    once = {"Idempotency-Key": '"monday"'}
    alice, bob = key(guarded, "alice") | once, key(guarded, "bob") | once
    mine, theirs = submit(guarded, alice), submit(guarded, bob)
    assert mine["id"] != theirs["id"]
    assert (mine["owner"], theirs["owner"]) == ("alice", "bob")
    assert submit(guarded, alice)["id"] == mine["id"]
    listed = send(guarded, "GET", "/jobs", bob).json["jobs"]
    assert [job["id"] for job in listed] == [theirs["id"]]
    second = key(guarded, "alice")
    assert [job["id"] for job in send(guarded, "GET", "/jobs", second).json["jobs"]] == [mine["id"]]


def test_without_a_key_only_health_is_told(guarded: Served) -> None:
    job = submit(guarded, key(guarded, "alice"))
    for endpoint, method, path in calls(guarded, job["id"]):
        answer = send(guarded, method, path, {})
        if path in OPEN_PATHS or endpoint == "static":
            assert answer.status_code != 401, path
        else:
            assert answer.status_code == 401, (method, path)
            assert code_of(answer, path) in (None, "key_required")
    assert send(guarded, "GET", "/nowhere", {}).status_code == 401


def test_a_key_that_only_reads_changes_nothing(guarded: Served) -> None:
    job = submit(guarded, key(guarded, "alice"))
    reader = key(guarded, "alice", Role.READ)
    for _, method, path in calls(guarded, job["id"]):
        answer = send(guarded, method, path, reader)
        if method in LOOKING:
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert answer.status_code == 403, (method, path)
            assert code_of(answer, path) in (None, "forbidden")
    assert send(guarded, "GET", f"/jobs/{job['id']}", reader).json["status"] == "queued"


def test_the_lines_to_copy_show_a_key(guarded: Served) -> None:
    lines = send(guarded, "GET", "/", key(guarded, "alice")).json["commands"].values()
    assert lines
    assert all(line.startswith('curl -H "Authorization: Bearer $ROWMILL_API_KEY" -') for line in lines)


def test_an_admin_sees_everything_and_may_ask_for_one_owner(guarded: Served) -> None:
    alice, bob, admin = key(guarded, "alice"), key(guarded, "bob"), key(guarded, "root", Role.ADMIN)
    mine, theirs = submit(guarded, alice), submit(guarded, bob)
    everything = send(guarded, "GET", "/jobs", admin).json["jobs"]
    assert {job["id"] for job in everything} == {mine["id"], theirs["id"]}
    of_alice = send(guarded, "GET", "/jobs?owner=alice", admin).json["jobs"]
    assert [job["id"] for job in of_alice] == [mine["id"]]
    assert send(guarded, "GET", "/jobs?owner=alice", alice).json["jobs"] == of_alice
    refused = send(guarded, "GET", "/jobs?owner=alice", bob)
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert send(guarded, "POST", f"/jobs/{mine['id']}/cancel", admin).status_code == 202
    again = send(guarded, "POST", f"/jobs/{mine['id']}/retry", admin)
    assert (again.status_code, again.json["owner"]) == (202, "alice")  # who can read it then, too
    assert send(guarded, "DELETE", f"/jobs/{theirs['id']}", admin).status_code == 204
    assert send(guarded, "GET", f"/jobs/{theirs['id']}", bob).status_code == 404
