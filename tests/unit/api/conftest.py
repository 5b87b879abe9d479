"""A real app on a real data folder, with real models of every kind that the routes tell apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from apiflask import APIFlask
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, StandardScaler

from api import create_app
from base.database import Database
from models.adding import NewVersion
from models.manifest import ImageSpec
from models.registry import Registry
from models.traffic import Arm, Traffic
from tests.once import made_once

MakeApp = Callable[..., APIFlask]
# Flask's test client, without Werkzeug's type of `json`, which may be None: a test that reads it knows better
Client = Any


def mixed_frame(rows: int = 60) -> pd.DataFrame:
    """A number, a text, a truth value and a whole number a row."""
    generator = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "age": generator.uniform(18, 90, rows).round(1),
            "region": np.array(["north", "south", "west"])[np.arange(rows) % 3],
            "member": generator.integers(0, 2, rows).astype(bool),
            "visits": generator.integers(0, 30, rows),
        }
    )


def _models(folder: Path) -> Iterator[NewVersion]:
    def saved(name: str, estimator: object, sample: pd.DataFrame | None = None, **more: object) -> NewVersion:
        file = folder / f"{name}.joblib"
        joblib.dump(estimator, file)
        if sample is not None:
            sample.to_parquet(folder / f"{name}.parquet")
        given = folder / f"{name}.parquet" if sample is not None else None
        return NewVersion(name, file, sample=given, **more)  # type: ignore[arg-type]

    wine, kind = load_wine(return_X_y=True, as_frame=True)
    names = np.array(["barolo", "grignolino", "barbera"])[kind]
    yield saved("wine", make_pipeline(StandardScaler(), LogisticRegression()).fit(wine, names), wine)
    yield saved("wine", RandomForestClassifier(10, random_state=0).fit(wine, names), wine)

    diabetes, progress = load_diabetes(return_X_y=True, as_frame=True)
    yield saved("diabetes", LinearRegression().fit(diabetes, progress), diabetes)

    flowers, species = load_iris(return_X_y=True)
    both = np.column_stack([species, species > 0])
    forest = RandomForestClassifier(5, random_state=0).fit(flowers, both)
    yield saved("flowers", forest, targets=("species", "later"))

    pixels, digit = load_digits(return_X_y=True)
    spec = ImageSpec(width=8, height=8, high=16)
    yield saved("digits", RandomForestClassifier(10, random_state=0).fit(pixels, digit), image=spec)

    mixed = mixed_frame()
    encoded = make_column_transformer((OneHotEncoder(), ["region"]), remainder="passthrough")
    churned = mixed["age"] + 10 * mixed["member"] > 60
    goes = make_pipeline(encoded, LogisticRegression(max_iter=5000)).fit(mixed, churned)
    yield saved("churn", goes, mixed, compiled=False)  # all its rows take the thorough way

    texts = pd.DataFrame({"review": [f"a good day {i}" if i % 2 else f"a bad night {i}" for i in range(30)]})
    moods = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts["review"], ["sad", "glad"] * 15)
    yield saved("moods", moods, texts)

    positive = pd.DataFrame({"size": np.linspace(1, 50, 40), "weight": np.linspace(2, 9, 40)})
    power = make_pipeline(PowerTransformer("box-cox"), LinearRegression())
    yield saved("positive", power.fit(positive, positive["size"] * 2), positive)


@pytest.fixture(scope="session")
def stocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with models in it; tests read it only."""
    return own_copy(made_once(request, tmp_path_factory, "stocked", stock), tmp_path_factory.mktemp("data"))


def stock(folder: Path) -> None:
    database = Database(f"sqlite:///{folder / 'rowmill.db'}")
    database.upgrade()
    registry = Registry(database, folder / "models")
    files = folder / "trained"
    files.mkdir()
    for new in _models(files):
        registry.add(new)
    registry.set_alias("wine", 1, "production", "a test")
    database.dispose()


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeApp]:
    """Makes an app on a data folder, with settings as the environment would give them."""
    made: list[APIFlask] = []
    monkeypatch.chdir(tmp_path)

    def make(data_dir: Path, **settings: object) -> APIFlask:
        for name, value in {"data_dir": data_dir, **settings}.items():
            monkeypatch.setenv(f"ROWMILL_{name.upper()}", str(value))
        app = create_app()
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["workshop"].close()


@pytest.fixture(scope="session")
def shared_app(stocked: Path) -> Iterator[APIFlask]:
    """One app for all tests that only ask: each model is loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROWMILL_DATA_DIR", str(stocked))
        patch.setenv("ROWMILL_MAX_PREDICT_ROWS", "50")
        patch.setenv("ROWMILL_MAX_PREDICT_BYTES", "200000")
        patch.chdir(stocked)
        app = create_app()
    yield app
    app.extensions["workshop"].close()


@pytest.fixture(scope="session")
def split_app(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """The same with ``wine@production`` split over both versions of wine, sticky by a column."""
    folder = own_copy(stocked, tmp_path_factory.mktemp("split"))
    database = Database(f"sqlite:///{folder / 'rowmill.db'}")
    wanted = Traffic((Arm(1, 2), Arm(2, 1)), sticky_by="alcohol")
    Registry(database, folder / "models").split("wine", "production", wanted, "a test")
    database.dispose()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROWMILL_DATA_DIR", str(folder))
        patch.chdir(folder)
        app = create_app()
    yield app
    app.extensions["workshop"].close()


def own_copy(stocked: Path, folder: Path) -> Path:
    """A data folder with the same models, whose registry may be changed."""
    shutil.copy(stocked / "rowmill.db", folder)
    (folder / "models").mkdir()
    for model in (stocked / "models").glob("[a-z]*"):
        (folder / "models" / model.name).symlink_to(model)
    return folder


@pytest.fixture(scope="session")
def logging_app(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """The same with a log of predictions, in a database of its own."""
    folder = tmp_path_factory.mktemp("logged")
    shutil.copy(stocked / "rowmill.db", folder)
    (folder / "models").symlink_to(stocked / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROWMILL_DATA_DIR", str(folder))
        patch.setenv("ROWMILL_LOG_PREDICTIONS", "1")
        patch.chdir(stocked)
        app = create_app()
    yield app
    app.extensions["prediction_log"].close()
    app.extensions["workshop"].close()


@pytest.fixture
def client(shared_app: APIFlask) -> Client:
    """Asks the shared app."""
    return shared_app.test_client()
