"""A scored file is what scikit-learn answers in process: each example model and format, twice the same."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from tests.e2e.conftest import TABLES, Example
from tests.e2e.serving import result, score

ROWS = 3000
TREES = {"wine", "diabetes"}


def enlarged(example: Example) -> pd.DataFrame:
    return example.rows.sample(ROWS, replace=True, random_state=5, ignore_index=True)


def encode(rows: pd.DataFrame, form: str) -> bytes:
    if form == "parquet":
        sink = io.BytesIO()
        rows.to_parquet(sink, row_group_size=700)
        return sink.getvalue()
    text = (
        rows.to_csv(index=False)
        if form.startswith("csv")
        else rows.to_json(orient="records", lines=True, double_precision=15)
    )
    data = text.encode()
    if form.endswith(".gz"):
        return gzip.compress(data)
    if form.endswith(".zst"):
        packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
        return packed
    return data


@pytest.mark.parametrize("form", ["csv", "csv.gz", "csv.zst", "parquet", "jsonl"])
@pytest.mark.parametrize("name", list(TABLES))
def test_a_job_answers_as_scikit_learn_does(
    url: str, examples: dict[str, Example], name: str, form: str
) -> None:
    example = examples[name]
    rows = enlarged(example)
    if form == "jsonl":  # pandas writes 15 digits; the file is what counts
        rows = pd.read_json(io.BytesIO(encode(rows, form)), orient="records", lines=True, precise_float=True)
    job = score(url, encode(rows, form), model=name, chunk_rows=800)
    assert job["chunks"]["total"] > 2
    scored = result(url, job).to_pandas()
    estimator: Any = example.estimator
    assert len(scored) == ROWS
    assert scored["error"].isna().all()
    expected = estimator.predict(rows if name != "breast_cancer" else rows.to_numpy())
    labels = TABLES[name][1]
    if labels:
        expected = np.array([labels[str(label)] for label in expected])
    if name == "diabetes":
        np.testing.assert_array_equal(scored["prediction"].to_numpy(), expected)
        return
    assert scored["prediction"].tolist() == expected.tolist()
    probabilities = estimator.predict_proba(rows if name != "breast_cancer" else rows.to_numpy())
    columns = [c for c in scored.columns if c.startswith("probability_")]
    tolerance = 0.0 if name in TREES else 1e-12
    np.testing.assert_allclose(scored[columns].to_numpy(), probabilities, rtol=0, atol=tolerance)


def test_the_same_file_gives_the_same_bytes(url: str, examples: dict[str, Example]) -> None:
    body = encode(enlarged(examples["mixed"]), "csv")
    first, second = (score(url, body, model="mixed", chunk_rows=500, keep="hue") for _ in range(2))
    assert first["id"] != second["id"]
    assert first["result"] == second["result"]


def test_images_answer_as_scikit_learn_does(url: str, trained: Path) -> None:
    archive = (trained / "digits.zip").read_bytes()
    job = score(url, archive, model="digits", chunk_rows=400)
    scored = result(url, job).to_pandas()
    estimator = joblib.load(trained / "digits.joblib")
    with zipfile.ZipFile(io.BytesIO(archive)) as pictures:
        names = pictures.namelist()
        pixels = [np.asarray(Image.open(pictures.open(name)).convert("L"), dtype=float) for name in names]
    expected = estimator.predict(np.stack([picture.ravel() / 255 * 16 for picture in pixels]))
    assert scored["file"].tolist() == names
    assert scored["prediction"].tolist() == expected.tolist()
    assert job["rows"] == {"total": len(names), "done": len(names), "failed": 0}


def test_a_bad_image_is_one_bad_row(url: str) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number in range(4):
            picture = io.BytesIO()
            Image.new("L", (8, 8), 50 * number).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue() if number != 2 else b"not an image")
    job = score(url, sink.getvalue(), model="digits")
    scored = result(url, job).to_pandas()
    assert scored["error"].isna().tolist() == [True, True, False, True]
    assert job["rows"]["failed"] == 1
    assert job["errors_preview"][0]["row"] == 2
    assert job["errors_preview"][0]["value"] == "2.png"
