"""What users send while everything breaks: files of every kind, and the answers of scikit-learn to them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

BAD_EVERY = 997
QUESTION_ROWS = 5
MANY_ROWS = 16_000
# By the paced model a chunk takes three quarters of a second: long enough to be hit, and less than a lease.
SECONDS_PER_ROW = 0.75e-3
CHUNK_ROWS = 1000


@dataclass(frozen=True)
class Kind:
    """A file, how it is sent, and the right answers; None stands for a row error."""

    name: str
    body: bytes
    options: dict[str, str]
    expected: list[Any]


@dataclass(frozen=True)
class Question:
    """Rows for `POST /predict`, and the right answers."""

    body: dict[str, Any]
    expected: list[Any]


def question(trained: Path) -> Question:
    """Some rows for the example model of wines."""
    rows = pd.read_csv(trained / "wine.sample.csv").drop(columns="cultivar").head(QUESTION_ROWS)
    expected = list(joblib.load(trained / "wine.joblib").predict(rows))
    return Question({"model": "wine", "instances": rows.to_dict("records")}, expected)


def kinds(trained: Path) -> list[Kind]:
    """Files for the example models that lie in ``trained``."""
    wine, digits = joblib.load(trained / "wine.joblib"), joblib.load(trained / "digits.joblib")
    rows = pd.read_csv(trained / "wine.sample.csv").drop(columns="cultivar")
    few, many = (rows.sample(n, replace=True, random_state=n, ignore_index=True) for n in (500, MANY_ROWS))
    answers = list(wine.predict(many))
    with_bad = many.astype(object)
    for row in range(0, len(many), BAD_EVERY):
        with_bad.iloc[row, 3] = "not a number"
    parquet = io.BytesIO()
    many.to_parquet(parquet)
    paced = {"model": "paced", "chunk_rows": str(CHUNK_ROWS)}
    return [
        Kind("small CSV", few.to_csv(index=False).encode(), {"model": "wine"}, list(wine.predict(few))),
        Kind(
            "CSV with bad rows",
            with_bad.to_csv(index=False).encode(),
            paced,
            [None if row % BAD_EVERY == 0 else answer for row, answer in enumerate(answers)],
        ),
        Kind("Parquet", parquet.getvalue(), paced, answers),
        Kind(
            "zip with a bad image",
            _with_a_bad_image(trained / "digits.zip"),
            {"model": "digits", "chunk_rows": "200"},
            [*digits.predict(load_digits().data), None],
        ),
    ]


def _with_a_bad_image(path: Path) -> bytes:
    copy = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("broken.png", b"\x89PNG and no more")
    return copy.getvalue()


def right(kind: Kind, predictions: list[Any]) -> bool:
    """Whether a result holds the right answer for each row, in order."""
    return len(predictions) == len(kind.expected) and all(
        (given is None) == (wanted is None) and (wanted is None or np.asarray(given == wanted).all())
        for given, wanted in zip(predictions, kind.expected, strict=True)
    )
