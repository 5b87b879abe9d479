"""How many rows go into a chunk: as many as take the time wanted, however long the rows are."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from base.formats import CsvOptions, InputShape, sniff
from jobs.planning import rows_for
from models.manifest import ColumnSpec, Manifest, Signature, StoredFile, Target

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


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_other_columns_are_read_but_not_scored(tmp_path: Path, form: str) -> None:
    alone = pd.DataFrame({"text": [f"{number} is a text of some words" for number in range(100)]})
    beside = alone.assign(other="z" * 1000)
    first, second = (rows_for(TEXTS, shape_of(tmp_path, frame, form), SECONDS) for frame in (alone, beside))
    assert first / 2.5 < second < first
