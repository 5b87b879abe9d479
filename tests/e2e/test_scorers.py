"""Real workers and real servers score with compiled scorers, and leave the pickle alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from sqlalchemy import update

from base.database import Database
from base.database.tables import versions
from models.adding import NewVersion
from models.manifest import Manifest
from models.registry import Registry
from rowmill.stack import Stack
from tests.e2e.conftest import Example
from tests.e2e.serving import result, score

SCORERS = ("linear", "trees")


@pytest.fixture(scope="module")
def without_pickle(stack: Stack, trained: Path) -> str:
    """An example model of the running stack, without its pickle under another name: who wants it, fails."""
    example, target = "wine", "cultivar"
    database = Database(stack.settings.database_url)
    registry = Registry(database, stack.settings.data_dir / "models")
    file, sample = trained / f"{example}.joblib", trained / f"{example}.sample.csv"
    manifest = registry.add(NewVersion(name=f"{example}-only", file=file, sample=sample, targets=(target,)))
    (registry.folder(manifest.name, 1) / manifest.artefact.file).unlink()
    _score_batches_too(database, manifest)
    database.dispose()
    return example


def _score_batches_too(database: Database, manifest: Manifest) -> None:
    """On a busy machine the scorer may have looked slower than it is."""
    assert manifest.scorer is not None
    assert manifest.scorer.kind is not None
    record = manifest.scorer.model_copy(update={"scores_batches": True})
    changed = manifest.model_copy(update={"scorer": record}).model_dump(mode="json")
    with database.writing() as connection:
        connection.execute(update(versions).where(versions.c.name == manifest.name).values(manifest=changed))


def body(rows: pd.DataFrame) -> Any:
    return bytes(rows.to_csv(index=False).encode())


def test_a_worker_never_unpickles(without_pickle: str, url: str, examples: dict[str, Example]) -> None:
    example = examples[without_pickle]
    job = score(url, body(example.rows), model=f"{without_pickle}-only")
    assert job["model"]["scorer"] in SCORERS
    assert job["rows"]["failed"] == 0
    estimator: Any = example.estimator
    found = result(url, job)
    assert found["prediction"].to_pylist() == estimator.predict(example.rows).tolist()


def test_single_rows_say_what_scored_them(
    without_pickle: str, url: str, examples: dict[str, Example]
) -> None:
    row = examples[without_pickle].rows.iloc[5].to_dict()
    asked: list[Any] = [{"features": row}] * 3 + [{"data": [row] * 30}]
    for question in asked:
        answer = httpx.post(f"{url}/predict?model={without_pickle}-only", json=question, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Scorer"] in SCORERS


def test_models_say_what_scores_them(without_pickle: str, url: str) -> None:
    described = httpx.get(f"{url}/models/{without_pickle}", timeout=60).json()["scorer"]
    assert described["rows"] in SCORERS
    assert described["largest_difference"] < 1e-12
    assert described["rows_compared"] > 100


def test_what_is_not_compiled_says_so(url: str) -> None:
    described = httpx.get(f"{url}/models/digits", timeout=60).json()["scorer"]
    assert (described["files"], described["rows"], described["kind"]) == ("sklearn", "sklearn", None)
    assert described["reason"]
    answer = httpx.post(f"{url}/predict?model=sentiment", json={"text": "a lovely film"}, timeout=60)
    assert answer.headers["X-Scorer"] == "sklearn"
