"""Jobs under the faults of messages and workers: what Celery and Redis lose is not lost to the user."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.transport.gated import GATED, gate
from tests.transport.works import JOB_SECONDS, Works, numbers
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    built = Works(tmp_path_factory.mktemp("works"))
    yield built
    built.close()


@pytest.fixture(autouse=True)
def _no_worker_is_left(works: Works) -> Iterator[None]:
    yield
    works.end_workers()


@pytest.fixture
def mark() -> Iterator[int]:
    """A gate that nobody else uses."""
    number = uuid4().int % 2**40
    yield number
    for what in ("reached", "open"):
        gate(number, what).unlink(missing_ok=True)


def test_a_message_that_dies_with_its_worker_is_sent_again(works: Works) -> None:
    rows = numbers(600)
    job_id = works.submit(rows, 100)
    losing = works.start_worker("tests.transport.losing_worker")
    assert losing.wait(JOB_SECONDS) == -signal.SIGKILL
    assert works.job(job_id)["done"] is False
    works.start_worker()
    works.check_sums(job_id, rows)


def test_a_chunk_commits_while_redis_is_dead(works: Works, mark: int) -> None:
    rows = numbers(20)
    rows.loc[7] = (GATED, mark)
    job_id = works.submit(rows, 20)
    works.start_worker()
    wait_until(gate(mark, "reached").exists, "the chunk is being scored", JOB_SECONDS)
    works.redis.kill()
    try:
        gate(mark, "open").touch()
        works.check_sums(job_id, rows)
    finally:
        works.redis.start()
    job = works.job(job_id)
    assert (job["chunks"]["done"], job["chunks"]["retried"]) == (1, 0)


def test_submitting_goes_on_while_redis_is_frozen(works: Works) -> None:
    rows = numbers(50)
    works.start_worker()
    with works.redis.frozen():
        jobs = [works.submit(rows, 50) for _ in range(5)]
        assert [works.job(job_id)["done"] for job_id in jobs] == [False] * 5
    for job_id in jobs:
        works.check_sums(job_id, rows)


@pytest.mark.parametrize("model", ["boosting", "clusters"])
def test_models_that_use_openmp_score_in_forked_processes(works: Works, model: str) -> None:
    rows = numbers(400)
    expected = works.estimators[model].predict(rows).tolist()
    works.start_worker(fixed_threads=False)
    job_id = works.submit(rows, 100, model)
    body = {"model": model, "instances": rows[:20].to_dict("records")}
    for _ in range(4):  # so that both processes of the API are asked
        answer = httpx.post(f"{works.stack.url}/predict", json=body, timeout=JOB_SECONDS)
        assert [entry["prediction"] for entry in answer.json()["predictions"]] == expected[:20], answer.text
    assert works.predictions(job_id, rows) == expected


STOPS = (
    [signal.SIGTERM],
    [signal.SIGQUIT],
    [signal.SIGTERM, signal.SIGTERM],
    [signal.SIGTERM, signal.SIGKILL],
)


def wait_for_chunks(works: Works, job_id: str, count: int) -> None:
    """Return when so many chunks are done, of a job that has many more."""
    wait_until(lambda: works.job(job_id)["chunks"]["done"] >= count, f"{count} chunks are done", JOB_SECONDS)
    assert not works.job(job_id)["done"], "the job is too short to be disturbed"


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_workers_that_are_told_to_stop_lose_nothing(works: Works) -> None:
    rows = numbers(20_000)
    job_id = works.submit(rows, 200)
    for count, signals in enumerate(STOPS, 1):
        worker = works.start_worker()
        wait_for_chunks(works, job_id, 5 * count)
        for number in signals:
            worker.send_signal(number)
        worker.wait(JOB_SECONDS)
    works.start_worker()
    works.check_sums(job_id, rows)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_a_worker_that_cannot_stop_is_killed_and_loses_nothing(works: Works) -> None:
    rows = numbers(5_000)
    job_id = works.submit(rows, 100)
    worker = works.start_worker()
    wait_for_chunks(works, job_id, 5)
    with works.redis.frozen():
        worker.terminate()
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(JOB_SECONDS)
    works.start_worker()
    works.check_sums(job_id, rows)
