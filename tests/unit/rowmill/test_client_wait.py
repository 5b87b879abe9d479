"""Waiting for a job: what is asked, what is told, how it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rowmill import Client
from rowmill.client import ApiError, Job, JobCancelled, JobFailed, JobResource, WaitTimeout
from tests.unit.rowmill.talking_server import (
    Answer,
    TalkingServer,
    as_json,
    problem,
    resource,
    talking_server,
)

UNCHANGED = Answer(304, headers={"ETag": '"2"', "Retry-After": "0"})


@pytest.fixture
def server() -> Iterator[TalkingServer]:
    with talking_server() as server:
        yield server


@pytest.fixture
def job(server: TalkingServer) -> Iterator[Job]:
    with Client(server.url) as client:
        yield client.job("j1")


def test_each_version_is_told_once_and_the_last_one_returned(server: TalkingServer, job: Job) -> None:
    server.on(
        "GET",
        "/jobs/j1",
        as_json(resource("queued"), ETag='"1"'),
        as_json(resource("scoring", done_rows=500), ETag='"2"'),
        UNCHANGED,
        as_json(resource("succeeded", done_rows=1000), ETag='"3"'),
    )
    told: list[JobResource] = []
    assert job.wait(progress=told.append)["status"] == "succeeded"
    assert [one["status"] for one in told] == ["queued", "scoring", "succeeded"]
    assert [one.headers.get("if-none-match") for one in server.seen] == [None, '"1"', '"2"', '"2"']
    assert [one.query for one in server.seen] == [{}, {"wait": "25"}, {"wait": "25"}, {"wait": "25"}]


def test_a_failed_job_ends_the_wait_with_its_reason(server: TalkingServer, job: Job) -> None:
    reason = {"code": "too_many_row_errors", "message": "12 bad rows, 10 allowed"}
    server.on("GET", "/jobs/j1", as_json(resource("failed", error=reason), ETag='"1"'))
    with pytest.raises(
        JobFailed, match=r"job j1 failed: 12 bad rows, 10 allowed \(too_many_row_errors\)"
    ) as caught:
        job.wait()
    assert caught.value.job["error"] == reason


def test_a_cancelled_job_ends_the_wait(server: TalkingServer, job: Job) -> None:
    server.on("GET", "/jobs/j1", as_json(resource("cancelled"), ETag='"1"'))
    with pytest.raises(JobCancelled, match="job j1 was cancelled"):
        job.wait()


def test_patience_ends_where_the_caller_says(server: TalkingServer, job: Job) -> None:
    server.on("GET", "/jobs/j1", as_json(resource("scoring"), ETag='"2"'), UNCHANGED)
    with pytest.raises(WaitTimeout, match=r"did not end within 0.05 s; it goes on") as caught:
        job.wait(timeout=0.05)
    assert caught.value.job_id == "j1"


def test_a_server_that_restarts_is_waited_for(server: TalkingServer, job: Job) -> None:
    server.on(
        "GET",
        "/jobs/j1",
        as_json(resource("scoring"), ETag='"1"'),
        Answer(cut_after=-1),
        problem(503, "starting", "the server starts", Retry_After="0"),
        as_json(resource("succeeded"), ETag='"2"'),
    )
    assert job.wait()["status"] == "succeeded"


def test_an_unknown_job_is_an_error_at_once(server: TalkingServer, job: Job) -> None:
    server.on("GET", "/jobs/j1", problem(404, "job_not_found", "no job j1"))
    with pytest.raises(ApiError, match="no job j1"):
        job.wait()
