"""What a model takes in memory, and that it is warm when it has been loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVC

from models.cache import ModelCache
from models.loading import LoadedModel
from models.manifest import ImageSpec, Manifest
from models.warming import warm_up
from tests.unit.models.making import added, added_file

BALLAST = 1_000_000


def line() -> LinearRegression:
    features = np.arange(20.0).reshape(10, 2)
    return LinearRegression().fit(features, features[:, 0])


def test_what_a_model_takes_is_measured_not_read_off_its_file(tmp_path: Path) -> None:
    heavy = line()
    heavy.ballast_ = np.zeros(BALLAST)
    joblib.dump(heavy, tmp_path / "heavy.joblib", compress=3)
    manifest = added_file(tmp_path, tmp_path / "heavy.joblib").manifest
    assert manifest.artefact.bytes < BALLAST
    assert 7.9 * BALLAST <= manifest.unpickled_bytes < 24 * BALLAST


@dataclass
class Shelf:
    """A source of one version."""

    model: LoadedModel

    def get(self, _name: str, _version: int) -> Manifest:
        return self.model.manifest

    def load(self, _name: str, _version: int) -> LoadedModel:
        return self.model


@pytest.mark.parametrize("single_rows", [True, False])
def test_a_loaded_model_has_answered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single_rows: bool
) -> None:
    model = added(tmp_path, line())
    asked: list[int] = []
    score = model.score

    def count(rows: pa.Table) -> pa.Table:
        asked.append(len(rows))
        return score(rows)

    monkeypatch.setattr(model, "score", count)
    assert ModelCache(Shelf(model), 0, single_rows=single_rows).get("m", 1) is model
    assert asked == [1]
    assert ("plain_rows" in vars(model)) is single_rows


def test_an_image_model_answers_a_black_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 2 * 3 * 3))
    spec = ImageSpec(width=2, height=3, mode="RGB")
    model = added(tmp_path, SVC().fit(pixels, np.arange(20) % 2), image=spec)
    scored: list[list[list[float]]] = []

    def predict(rows: np.ndarray) -> np.ndarray:
        scored.append(rows.tolist())
        return np.zeros(len(rows), int)

    model.estimator.predict = predict
    warm_up(model, single_rows=True)
    assert scored == [[[0.0] * 18]]


def test_a_model_that_fails_at_its_example_is_held_all_the_same(tmp_path: Path) -> None:
    model = added(tmp_path, line())
    model.estimator.coef_ = None
    assert ModelCache(Shelf(model), 0).get("m", 1) is model
