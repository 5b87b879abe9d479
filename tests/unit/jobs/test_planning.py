"""How many rows go into a chunk: as many as take the time wanted, however long the rows are."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.formats import CsvOptions, InputShape, sniff, with_length
from jobs.planning import rows_for
from models.manifest import ColumnSpec, ImageSpec, Manifest, Signature, StoredFile, Target

SECONDS = 0.3
TEXTS = Manifest(
    name="moods",
    version=1,
    sha256="0" * 64,
    created_at="2026-01-01T00:00:00Z",
    task="classification",
    estimator="made.Up",
    artefact=StoredFile(file="model.joblib", sha256="0" * 64, bytes=1, source="m.joblib"),
    signature=Signature(
        kind="text",
        named=False,
        input="texts",
        columns=(ColumnSpec(name="text", kind="string", dtype="string", accepts_null=False),),
    ),
    targets=(Target(name=None),),
    has_probabilities=False,
    labels_from_probabilities=False,
    row_cost_seconds=2e-6,
    byte_cost_seconds=100e-9,
)
IMAGES = TEXTS.model_copy(
    update={
        "signature": Signature(kind="image", named=False, input="matrix", image=ImageSpec(width=8, height=8)),
        "row_cost_seconds": 100e-6,
        "byte_cost_seconds": 25e-9,
    }
)


def shape_of(folder: Path, frame: pd.DataFrame, form: str) -> InputShape:
    path = folder / f"data.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "parquet":
        frame.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    return sniff(path, CsvOptions(), max_decoded_bytes=1 << 30)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("length", [40, 4_000, 100_000])
def test_longer_texts_make_shorter_chunks(tmp_path: Path, form: str, length: int) -> None:
    frame = pd.DataFrame({"text": [f"{number} ".ljust(length, "x") for number in range(40)]})
    rows = rows_for(TEXTS, shape_of(tmp_path, frame, form), SECONDS)
    seconds = rows * (TEXTS.row_cost_seconds + length * TEXTS.byte_cost_seconds)
    assert 0.5 * SECONDS < seconds <= SECONDS


@pytest.mark.parametrize(
    ("size", "rows"), [(100, range(2_500, 3_001)), (400_000, range(25, 31)), (4_000_000, range(2, 4))]
)
def test_larger_images_make_shorter_chunks(tmp_path: Path, size: int, rows: range) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.jpg", bytes([number]) * size)
    shape = sniff(path, CsvOptions(), max_decoded_bytes=1 << 30)
    assert rows_for(IMAGES, shape, SECONDS) in rows


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_other_columns_are_read_but_not_scored(tmp_path: Path, form: str) -> None:
    alone = pd.DataFrame({"text": [f"{number} is a text of some words" for number in range(100)]})
    beside = alone.assign(other="z" * 1000)
    first, second = (rows_for(TEXTS, shape_of(tmp_path, frame, form), SECONDS) for frame in (alone, beside))
    assert first / 2.5 < second < first


def test_a_dictionary_of_long_texts_in_parquet_is_cut_by_their_length(tmp_path: Path) -> None:
    texts = pa.array([str(number) * 50_000 for number in range(10)])
    rows = pa.DictionaryArray.from_arrays(pa.array(range(10), pa.int32()), texts).take(
        pa.array([0, 9] * 5000)
    )
    pq.write_table(pa.table({"n": range(10_000), "text": rows}), tmp_path / "data.parquet")
    shape = sniff(tmp_path / "data.parquet", CsvOptions(), max_decoded_bytes=1 << 30)
    assert shape.bytes_per_row < 1000
    measured = with_length(tmp_path / "data.parquet", shape, 1)
    assert measured.columns[1].bytes == 50_000
    expected = SECONDS / (TEXTS.row_cost_seconds + 50_000 * TEXTS.byte_cost_seconds)
    assert rows_for(TEXTS, measured, SECONDS) == pytest.approx(expected, rel=0.1)


def test_only_texts_are_measured(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "text": ["four", None]})
    by_format = {form: shape_of(tmp_path, frame, form) for form in ("csv", "parquet")}
    assert with_length(tmp_path / "data.parquet", by_format["parquet"], 0) == by_format["parquet"]
    assert with_length(tmp_path / "data.parquet", by_format["parquet"], 1).columns[1].bytes == 2
    assert with_length(tmp_path / "data.csv", by_format["csv"], 1) == by_format["csv"]
