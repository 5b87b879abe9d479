"""Rows that kill whoever scores them become row errors, and all others are scored; on real processes."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs import reading
from jobs.errors import Problem
from jobs.records import Job
from jobs.running import run_chunk
from jobs.workshop import Workshop
from tests.builders import OWNER, add_perilous, claim_chunk, dead_process, submitted

ROWS = 400


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite only: tests/contract has what depends on the database."""
    return sqlite_url


@pytest.fixture
def perilous(workshop: Workshop, tmp_path: Path) -> Workshop:
    """A workshop with a model that some rows bring down, and a limit of memory."""
    add_perilous(workshop.registry, tmp_path)
    return adjusted(workshop, max_process_bytes=1 << 30)


def adjusted(workshop: Workshop, **settings: float) -> Workshop:
    return replace(workshop, settings=workshop.settings.model_copy(update=settings))


def table(perils: dict[int, float]) -> pd.DataFrame:
    """Rows of which some are perils."""
    rows = pd.DataFrame({"id": np.arange(ROWS), "a": np.arange(ROWS) % 97 + 1.0, "b": 2.0})
    for row, peril in perils.items():
        rows.loc[row, "a"] = peril
    return rows


def as_file(rows: pd.DataFrame, kind: str) -> bytes:
    if kind == "csv":
        return rows.to_csv(index=False).encode()
    if kind == "jsonl":
        return rows.to_json(orient="records", lines=True).encode()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(rows), sink, row_group_size=150)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def run_after_two_deaths(workshop: Workshop, job: Job, index: int = 0) -> tuple[Job, pd.DataFrame]:
    """The job and its result, once its last open chunk has lost two processes and was run again."""
    dead = dead_process()
    for _ in range(2):
        assert claim_chunk(workshop.database, job, index, worker=dead)
    run_chunk(workshop, job.id, index)
    after = reading.find_job(workshop.database, OWNER, job.id)
    assert after.result is not None, after.error
    return after, pq.read_table(workshop.files.path(after.result["file"])).to_pandas()


def codes(result: pd.DataFrame) -> dict[int, str]:
    bad = result[result.error.notna()]
    assert bad.prediction.isna().all()
    return dict(zip(bad.index, bad.error, strict=True))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_that_kill_become_row_errors(perilous: Workshop, kind: str) -> None:
    perils = {0: -9.0, 77: -11.0, 200: -1.0, 201: -6.0}
    if kind == "parquet":
        perils[ROWS - 1] = -2.0  # takes longer than all others together
    rows = table(perils)
    job = submitted(perilous, as_file(rows, kind), "perilous", 10_000, keep=["id"])
    after, result = run_after_two_deaths(perilous, job)
    assert (after.rows_done, after.rows_failed) == (ROWS, len(perils))
    assert result["id"].astype(int).tolist() == list(range(ROWS))
    assert codes(result) == {
        row: "scorer_out_of_memory" if peril == -2.0 else "scorer_crashed" for row, peril in perils.items()
    }
    good = rows.drop(index=list(perils))
    assert result.prediction.drop(index=list(perils)).tolist() == (good.a + good.b).tolist()
    shown = reading.view_job(perilous.database, OWNER, job.id).errors_preview
    said = {error["row"]: error["message"] for error in shown}
    assert "SIGKILL" in said[0]
    assert "SIGSEGV" in said[77]
    assert "status 0" in said[200]
    assert "SIGABRT" in said[201]
    first = {"csv": 2, "jsonl": 1}.get(kind)
    assert [error["line"] for error in shown] == [first and row + first for row in perils]


def test_rows_that_kill_more_than_their_own_process(perilous: Workshop) -> None:
    """One kills its process group, one the process that watches it."""
    rows = table({1: -10.0, 7: -4.0}).head(8)
    job = submitted(perilous, as_file(rows, "csv"), "perilous", 10_000, keep=["id"])
    _, result = run_after_two_deaths(perilous, job)
    assert codes(result) == {1: "scorer_crashed", 7: "scorer_crashed"}


def test_a_row_that_never_ends(perilous: Workshop) -> None:
    hasty = adjusted(perilous, max_chunk_seconds=160)
    rows = table({5: -3.0}).head(8)
    job = submitted(hasty, as_file(rows, "csv"), "perilous", 10_000, keep=["id"])
    _, result = run_after_two_deaths(hasty, job)
    assert codes(result) == {5: "scorer_timed_out"}


def test_pictures_keep_their_names(perilous: Workshop) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(9):
            pixels = [201, 7, 0, number] if number == 4 else [number, 0, 0, 0]
            picture = io.BytesIO()
            Image.fromarray(np.array(pixels, np.uint8).reshape(2, 2)).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue() if number != 6 else b"no picture")
    job = submitted(perilous, packed.getvalue(), "pictures", 10_000)
    _, result = run_after_two_deaths(perilous, job)
    assert result.file.tolist() == [f"{number}.png" for number in range(9)]
    assert codes(result) == {4: "scorer_crashed", 6: "image_unreadable"}
    assert result.prediction.dropna().tolist() == [0, 1, 2, 3, 5, 7, 8]


def test_a_healthy_chunk_comes_out_of_quarantine_as_from_anywhere(perilous: Workshop) -> None:
    data = as_file(table({}), "parquet")
    here = submitted(perilous, data, "perilous", 10_000, keep=["id"])
    run_chunk(perilous, here.id, 0)
    there = submitted(perilous, data, "perilous", 10_000, keep=["id"])
    after, _ = run_after_two_deaths(perilous, there)
    before = reading.find_job(perilous.database, OWNER, here.id)
    assert after.result is not None
    assert before.result is not None
    assert after.result["sha256"] == before.result["sha256"]


def test_the_search_has_an_end(perilous: Workshop) -> None:
    """Every second row kills: more than can be told apart before the budget is used up."""
    rows = table(dict.fromkeys(range(0, ROWS, 2), -9.0))
    hasty = adjusted(perilous, max_chunk_seconds=4)
    job = submitted(hasty, as_file(rows, "csv"), "perilous", 10_000, keep=["id"])
    after, result = run_after_two_deaths(hasty, job)
    assert after.rows_done == ROWS
    found = codes(result)
    assert "scorer_crash_unresolved" in found.values()
    assert set(range(0, ROWS, 2)) <= set(found)
    assert result["id"].tolist() == [str(row) for row in range(ROWS)]


def test_rows_that_cannot_even_be_read(perilous: Workshop) -> None:
    """A cell that is larger than the memory of a process, though small in the file."""
    texts = pa.array(["x", "x", "y" * (400 << 20), "x"], pa.large_string())
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_pandas(table({}).head(4)).append_column("text", texts),
        sink,
        row_group_size=1,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )
    wide = adjusted(perilous, max_chunk_bytes=4 << 30)
    job = submitted(wide, sink.getvalue().to_pybytes(), "perilous", 10_000, keep=["id", "text"])
    after, result = run_after_two_deaths(wide, job)
    assert codes(result) == {2: "reader_crashed"}
    assert result.text.isna().tolist() == [False, False, True, False]
    assert after.rows_failed == 1


def test_a_model_that_cannot_be_loaded_fails_its_job_and_says_so(perilous: Workshop) -> None:
    job = submitted(perilous, as_file(table({}), "csv"), "perilous", 10_000)
    folder = perilous.registry.folder("perilous", 1)
    for _ in range(2):
        assert claim_chunk(perilous.database, job, 0, worker=dead_process())
    (folder / "model.joblib").write_bytes(b"changed")
    with pytest.raises(Problem, match="was changed"):
        run_chunk(perilous, job.id, 0)
    assert (reading.find_job(perilous.database, OWNER, job.id).error or {})["code"] == "digest_mismatch"
