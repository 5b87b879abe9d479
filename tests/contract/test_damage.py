"""Stored bytes that are not what they were: never a wrong row, always a code that says so, and a way out."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import reading
from jobs.errors import Problem
from jobs.finishing import finish_job
from jobs.records import Chunk, Input
from models.cache import ModelCache
from models.errors import ArtefactRefused
from tests.builders import OWNER
from tests.contract.conftest import Served

# What the database is made of changes nothing here.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path, at: int = 100) -> None:
    """One bit; at the usual place there are rows, of whatever kind the file is."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


HARMS = pytest.mark.parametrize("harm", [cut, flip, Path.unlink], ids=["cut", "flipped", "gone"])
Harm = Callable[[Path], None]


def chunks_of(served: Served, job: dict[str, Any]) -> list[Chunk]:
    return reading.list_chunks(served.workshop.database, job["id"])


def input_of(served: Served, job: dict[str, Any]) -> Input:
    return reading.view_job(served.workshop.database, OWNER, job["id"]).input


def stored(served: Served, name: str | None) -> Path:
    assert name
    return served.workshop.files.path(name)


@HARMS
def test_a_damaged_part_fails_the_job_and_a_retry_scores_that_chunk_alone(served: Served, harm: Harm) -> None:
    job = served.submit()
    right = served.result(served.work(served.submit()))
    served.plan(job)
    served.score(job, 0, 1, 2, 3)
    harm(stored(served, (chunks_of(served, job)[2].part or {})["file"]))
    with pytest.raises(Problem, match="retry"):
        finish_job(served.workshop, job["id"])
    failed = served.job(job)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "part_damaged")
    again = served.post(f"/jobs/{job['id']}/retry").json
    served.plan(again)
    assert [chunk.status for chunk in chunks_of(served, again)] == ["done", "done", "pending", "done"]
    assert served.result(served.work(again)) == right


@HARMS
def test_damaged_row_errors_are_not_told_as_if_they_were_right(served: Served, harm: Harm) -> None:
    lines = served.csv(50).splitlines()
    lines[30] = lines[30].replace(b",", b",bad", 1)
    answer = served.client.post("/jobs?model=wine&chunk_rows=25", data=b"\n".join(lines))
    job = served.work(answer.json)
    assert job["rows"]["failed"] == 1
    damaged = next(chunk.part for chunk in chunks_of(served, job) if chunk.rows_failed)
    harm(stored(served, (damaged or {})["errors_file"]))
    with pytest.raises(Problem, match="chunk 1"):
        served.get(f"/jobs/{job['id']}/errors.jsonl")


@pytest.mark.parametrize("harm", [cut, Path.unlink], ids=["cut", "gone"])
def test_a_result_of_another_length_is_not_served(served: Served, harm: Harm) -> None:
    job = served.work(served.submit())
    harm(stored(served, (reading.find_job(served.workshop.database, OWNER, job["id"]).result or {})["file"]))
    for view in ("result", "result.csv", "result.jsonl", "preview"):
        answer = served.get(f"/jobs/{job['id']}/{view}")
        assert (answer.status_code, answer.json["code"]) == (500, "result_damaged")
        assert "clone" in answer.json["detail"]


def test_a_flipped_byte_in_a_result_is_noticed(served: Served) -> None:
    job = served.work(served.submit())
    file = stored(served, (reading.find_job(served.workshop.database, OWNER, job["id"]).result or {})["file"])
    first = pq.read_metadata(file).row_group(0).column(0)
    start = first.dictionary_page_offset or first.data_page_offset
    flip(
        file, start + first.total_compressed_size - 1
    )  # the last page's last byte: no header, which has no sum
    answer = served.get(f"/jobs/{job['id']}/preview")
    assert (answer.status_code, answer.json["code"]) == (500, "result_damaged")
    for view in ("result.csv", "result.jsonl"):
        with pytest.raises(Problem, match="damaged"):
            served.get(f"/jobs/{job['id']}/{view}")
    # the file itself goes out as it is, with the digest that it should have
    whole = served.get(f"/jobs/{job['id']}/result")
    found = base64.b64encode(hashlib.sha256(whole.data).digest()).decode()
    assert whole.headers["Repr-Digest"] != f"sha-256=:{found}:"


@pytest.mark.parametrize("harm", [cut, flip], ids=["cut", "flipped"])
@pytest.mark.parametrize("planned", [False, True], ids=["queued", "scoring"])
def test_an_input_that_changes_fails_its_job(served: Served, harm: Harm, *, planned: bool) -> None:
    job = served.submit()
    if planned:
        served.plan(job)
        served.score(job, 0)
    harm(stored(served, input_of(served, job).file))
    with pytest.raises(Problem, match="Nothing but Rowmill"):
        served.score(job, 1) if planned else served.plan(job)
    failed = served.job(job)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "input_changed")


def test_a_decoded_input_that_changes_fails_its_job(served: Served) -> None:
    packed = gzip.compress(served.csv())
    job = served.client.post("/jobs?model=wine&chunk_rows=25", data=packed).json
    served.plan(job)
    flip(stored(served, input_of(served, job).decoded_file))
    with pytest.raises(Problem, match="Nothing but Rowmill"):
        served.score(job, 0)
    assert served.job(job)["error"]["code"] == "input_changed"


def test_an_input_that_changes_while_it_is_read_is_not_scored(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = served.submit()
    served.plan(job)
    file = stored(served, input_of(served, job).file)
    score = served.workshop.models.get("wine", 1).score

    def score_and_harm(*rows: Any, **options: Any) -> Any:
        flip(file)
        return score(*rows, **options)

    monkeypatch.setattr(served.workshop.models.get("wine", 1), "score", score_and_harm)
    with pytest.raises(Problem, match="Nothing but Rowmill"):
        served.score(job, 0)
    assert served.job(job)["error"]["code"] == "input_changed"
    assert not list(served.workshop.files.path(f"jobs/{job['id']}").glob("parts/*"))


def test_bytes_that_cannot_be_read_any_more_were_changed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the file and the reading of it: the user sent nothing unreadable."""
    job = served.submit()
    served.plan(job)
    file, get = stored(served, input_of(served, job).file), served.workshop.models.get

    def get_and_harm(name: str, version: int) -> Any:
        file.write_bytes(file.read_bytes().replace(b",", b"\xff", 200))
        return get(name, version)

    monkeypatch.setattr(served.workshop.models, "get", get_and_harm)
    with pytest.raises(Problem, match="Nothing but Rowmill"):
        served.score(job, 0)
    assert served.job(job)["error"]["code"] == "input_changed"


def test_an_input_that_is_cut_while_it_is_planned_is_not_a_short_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = served.submit()
    file, get = stored(served, input_of(served, job).file), served.workshop.registry.get

    def get_and_harm(name: str, version: int) -> Any:
        file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
        return get(name, version)

    monkeypatch.setattr(served.workshop.registry, "get", get_and_harm)
    with pytest.raises(Problem, match="Nothing but Rowmill"):
        served.plan(job)
    assert served.job(job)["error"]["code"] == "input_changed"


def test_a_model_that_changes_between_two_chunks_fails_the_job(served: Served) -> None:
    job = served.submit()
    served.plan(job)
    served.score(job, 0)
    registry = served.workshop.registry
    for path in registry.folder("wine", 1).iterdir():  # the pickle, and what a compiled scorer is made of
        flip(path)
    served.score(job, 1)  # a process that has the model goes on with what it has
    another = replace(served, workshop=replace(served.workshop, models=ModelCache(registry, 1 << 30)))
    with pytest.raises(ArtefactRefused):
        another.score(job, 2)
    failed = served.job(job)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "digest_mismatch")
