"""Retries score what their parent did not, and are whole; clones score the same input again."""

from __future__ import annotations

import contextlib
import io
import threading
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from base.database.tables import attempts, inputs
from jobs import again, reading
from jobs.caretaker import Caretaker
from jobs.errors import Problem
from jobs.lifecycle.ending import expire
from jobs.lifecycle.submission import NewJob, accept_child
from jobs.records import Job
from models.adding import NewVersion
from tests.builders import OWNER, AddedModel
from tests.conftest import Clock
from tests.contract.conftest import Served


def attempts_of(served: Served, job: dict[str, Any]) -> int:
    query = select(func.count()).where(attempts.c.job_id == job["id"])
    with served.workshop.database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def broken(served: Served, *scored: int) -> dict[str, Any]:
    """A job that failed at chunk 1 after these chunks were scored."""
    job = served.submit(keep="id")
    served.plan(job)
    served.score(job, *scored)
    served.fail(job, 1)
    return served.job(job)


def retried(served: Served, job: dict[str, Any], query: str = "") -> dict[str, Any]:
    answer = served.post(f"/jobs/{job['id']}/retry{query}")
    assert answer.status_code == 202, answer.text
    child: dict[str, Any] = answer.json
    assert child["retry_of"] == job["id"]
    assert answer.headers["Location"] == f"/jobs/{child['id']}"
    return child


def test_a_retry_scores_the_rest_and_gives_the_same_bytes(served: Served) -> None:
    whole = served.work(served.submit(keep="id"))
    parent = broken(served, 0, 2)
    assert parent["links"]["retry"] == f"/jobs/{parent['id']}/retry"
    child = retried(served, parent)
    count = served.plan(child)
    started = served.job(child)
    assert (started["status"], started["chunks"]["done"], started["chunks"]["pending"]) == (
        "scoring",
        2,
        count - 2,
    )
    assert started["rows"]["done"] == parent["rows"]["done"] > 0
    assert started["rows_per_second"] is None  # none of it was scored here
    ended = served.work(child)
    assert ended["status"] == "succeeded"
    assert attempts_of(served, child) == count - 2
    assert served.result(ended) == served.result(whole)
    assert served.job(parent)["status"] == "failed"


def test_row_errors_of_reused_chunks_count(served: Served) -> None:
    lines = served.csv().replace(b"14.23", b"high", 1).splitlines(keepends=True)
    body = b"".join([*lines[:80], lines[80].replace(b",", b",low,", 1), *lines[81:]])
    job = served.client.post("/jobs?model=wine&chunk_rows=25", data=body).json
    served.plan(job)
    served.score(job, 0)
    served.post(f"/jobs/{job['id']}/cancel")
    child = retried(served, job)
    served.plan(child)
    assert served.job(child)["error_counts"] == {"not_a_number:alcohol": 1}
    ended = served.work(child)
    whole = served.work(served.client.post("/jobs?model=wine&chunk_rows=25", data=body).json)
    for field in ("rows", "error_counts", "errors_preview"):
        assert ended[field] == whole[field]
    assert (
        served.get(f"/jobs/{child['id']}/errors.csv").data
        == served.get(f"/jobs/{whole['id']}/errors.csv").data
    )


def test_a_retry_outlives_its_parent(served: Served) -> None:
    parent = broken(served, 0, 2)
    child = retried(served, parent)
    served.plan(child)
    assert served.client.delete(f"/jobs/{parent['id']}").status_code == 204
    ended = served.work(child)
    assert ended["rows"] == {"total": 100, "done": 100, "failed": 0}


def test_a_parent_outlives_its_retry(served: Served) -> None:
    parent = broken(served, 0)
    served.work(retried(served, parent))
    before = served.get(f"/jobs/{parent['id']}/result?partial=1").data
    assert pq.read_metadata(io.BytesIO(before)).num_rows == parent["rows"]["done"]
    again = retried(served, parent)
    served.client.delete(f"/jobs/{again['id']}")
    assert served.get(f"/jobs/{parent['id']}/result?partial=1").data == before


@pytest.mark.parametrize("harm", ["damaged", "gone", "sidecar gone"])
def test_what_is_not_whole_is_scored_again(served: Served, harm: str) -> None:
    job = served.client.post(
        "/jobs?model=wine&chunk_rows=25", data=served.csv().replace(b"14.23", b"x", 1)
    ).json
    served.plan(job)
    served.score(job, 0, 2)
    served.post(f"/jobs/{job['id']}/cancel")
    pattern = "000000-*.jsonl" if harm == "sidecar gone" else "000000-*.parquet"
    [file] = (served.workshop.files.root / "jobs" / job["id"]).rglob(pattern)
    file.unlink()
    if harm == "damaged":
        file.write_bytes(b"PAR1")
    child = retried(served, job)
    count = served.plan(child)
    assert served.job(child)["chunks"]["done"] == 1
    assert served.job(child)["error_counts"] == {}
    ended = served.work(child)
    assert (ended["status"], attempts_of(served, child)) == ("succeeded", count - 1)
    assert ended["error_counts"] == {"not_a_number:alcohol": 1}


def test_a_job_that_was_never_cut_is_retried_from_the_start(served: Served) -> None:
    job = served.submit()
    served.post(f"/jobs/{job['id']}/cancel")
    assert served.work(retried(served, job))["rows"]["done"] == 100


def test_a_job_that_only_lacked_its_join_is_finished(served: Served) -> None:
    job = served.submit()
    served.score(job, *range(served.plan(job)))
    served.post(f"/jobs/{job['id']}/cancel")
    child = retried(served, job)
    served.plan(child)
    assert served.job(child)["status"] == "finishing"
    assert served.work(child)["rows"] == {"total": 100, "done": 100, "failed": 0}
    assert attempts_of(served, child) == 0


def test_a_limit_of_row_errors_holds_for_a_retry_and_may_be_raised(served: Served) -> None:
    lines = served.csv().splitlines(keepends=True)
    body = b"".join([lines[0]] + [line.replace(b".", b"x", 1) for line in lines[1:4]] + lines[4:])
    job = served.client.post("/jobs?model=wine&chunk_rows=25&max_row_errors=2", data=body).json
    served.plan(job)
    served.score(job, 0)
    assert served.job(job)["error"]["code"] == "too_many_row_errors"
    same = retried(served, job)
    served.plan(same)
    assert served.job(same)["error"]["code"] == "too_many_row_errors"
    raised = served.work(retried(served, job, "?max_row_errors=10&name=second"))
    assert (raised["status"], raised["rows"]["failed"], raised["name"]) == ("succeeded", 3, "second")


@pytest.mark.parametrize("action", ["retry", "clone"])
def test_a_job_that_has_not_ended_is_409(served: Served, action: str) -> None:
    job = served.submit()
    answer = served.post(f"/jobs/{job['id']}/{action}")
    assert (answer.status_code, answer.json["code"]) == (409, "not_finished")
    assert served.post(f"/jobs/none/{action}").status_code == 404


def test_a_job_that_succeeded_has_nothing_to_retry(served: Served) -> None:
    job = served.work(served.submit())
    answer = served.post(f"/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json["code"]) == (409, "nothing_to_retry")
    assert "retry" not in job["links"]


@pytest.mark.parametrize("action", ["retry", "clone"])
def test_an_input_that_is_gone_is_410(served: Served, clock: Clock, action: str) -> None:
    job = served.submit(ttl="60")
    served.post(f"/jobs/{job['id']}/cancel")
    clock.advance(61)
    Caretaker(served.workshop).tick()
    answer = served.post(f"/jobs/{job['id']}/{action}")
    assert (answer.status_code, answer.json["code"]) == (410, "input_expired")


def test_an_input_stays_for_as_long_as_any_job_needs_it(served: Served, clock: Clock) -> None:
    parent = served.work(served.submit(ttl="60"))
    clone = served.post(f"/jobs/{parent['id']}/clone?ttl=1h").json
    clock.advance(61)
    Caretaker(served.workshop).tick()
    assert served.get(f"/jobs/{parent['id']}/result").status_code == 410
    assert served.work(clone)["status"] == "succeeded"
    third = served.post(f"/jobs/{parent['id']}/clone").json  # of a job whose own files are gone
    for job in (parent, clone):
        assert served.client.delete(f"/jobs/{job['id']}").status_code == 204
    assert served.work(third)["status"] == "succeeded"
    served.client.delete(f"/jobs/{third['id']}")
    with served.workshop.database.reading() as connection:
        assert connection.execute(select(inputs)).all() == []
    assert not list(served.workshop.files.path("inputs").iterdir())


def test_a_clone_has_another_version_and_other_options(served: Served, wine: AddedModel) -> None:
    parent = served.work(served.submit(name="first", tags="a,b"))
    served.workshop.registry.add(NewVersion("wine", wine.file, sample=wine.sample))
    same = served.post(f"/jobs/{parent['id']}/clone").json
    assert (same["model"], same["options"], same["name"], same["tags"]) == (
        parent["model"],
        parent["options"],
        "first",
        ["a", "b"],
    )
    assert same["input"] == parent["input"]
    assert served.result(served.work(same)) == served.result(parent)
    other = served.work(served.post(f"/jobs/{parent['id']}/clone?model=wine&keep=id&outputs=confidence").json)
    assert other["model"]["version"] == 2
    table = pq.read_table(pa.BufferReader(served.result(other)))
    assert table.schema.names[0] == "id"
    assert "confidence" in table.schema.names
    assert other["retry_of"] is None


@pytest.mark.parametrize("compressed", [False, True])
def test_clones_share_what_was_decoded(served: Served, compressed: bool) -> None:
    body = io.BytesIO()
    served.rows.to_csv(body, index=False, compression="gzip" if compressed else None)
    parent = served.work(served.client.post("/jobs?model=wine", data=body.getvalue()).json)
    clone = served.work(served.post(f"/jobs/{parent['id']}/clone").json)
    assert served.result(clone) == served.result(parent)
    files = list(served.workshop.files.path("inputs").rglob("*"))
    assert len([path for path in files if path.is_file()]) == 1 + compressed


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("retry?model=wine", "bad_option"),
        ("retry?keep=id", "bad_option"),
        ("clone?delimiter=tab", "bad_option"),
        ("clone?dry_run=1", "bad_option"),
        ("clone?kep=id", "unknown_option"),
        ("retry?on_error=skip", "bad_option"),
        ("clone?keep=nothing", "unknown_column"),
        ("clone?model=beer", "unknown_model"),
    ],
)
def test_what_cannot_change_is_refused(served: Served, address: str, code: str) -> None:
    job = served.submit()
    served.post(f"/jobs/{job['id']}/cancel")
    answer = served.post(f"/jobs/{job['id']}/{address}")
    assert answer.json["code"] == code
    assert answer.status_code in (404, 422)


def test_a_key_makes_one_retry(served: Served) -> None:
    job = served.submit(deadline="1h")
    served.post(f"/jobs/{job['id']}/cancel")
    key = {"Idempotency-Key": "again"}
    first = served.client.post(f"/jobs/{job['id']}/retry", headers=key)
    second = served.client.post(f"/jobs/{job['id']}/retry", headers=key)
    assert (first.json["id"], second.headers["Idempotent-Replayed"]) == (second.json["id"], "true")
    for other in ("retry?ttl=1h", "clone"):
        refused = served.client.post(f"/jobs/{job['id']}/{other}", headers=key)
        assert (refused.status_code, refused.json["code"]) == (422, "idempotency_key_reused")
    assert reading.find_job(served.workshop.database, OWNER, first.json["id"]).deadline_at


def test_an_input_is_never_removed_under_a_new_job(served: Served, clock: Clock) -> None:
    database, files = served.workshop.database, served.workshop.files
    for _ in range(12):
        job = served.submit(ttl="60")
        served.post(f"/jobs/{job['id']}/cancel")
        parent = reading.find_job(database, OWNER, job["id"])
        new = again.retry(
            served.workshop, parent, again.retry_options(parent, {}), key=None, request_sha256="0" * 64
        )
        barrier = threading.Barrier(2)
        made: list[Job] = []

        def make(new: NewJob = new, barrier: threading.Barrier = barrier, made: list[Job] = made) -> None:
            barrier.wait()
            with contextlib.suppress(Problem):
                made.append(accept_child(database, new, "parent")[0])

        maker = threading.Thread(target=make)
        maker.start()
        barrier.wait()
        expire(database, files, parent)
        maker.join()
        assert files.path(f"inputs/{parent.input_id}").exists() == bool(made)
