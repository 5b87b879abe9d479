"""One real stack for the end-to-end tests, with every example model trained and added as a user would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import joblib
import pandas as pd
import pytest

from base.database import Database
from base.settings import Settings
from models.adding import NewVersion
from models.manifest import ImageSpec
from models.registry import Registry
from rowmill.stack import Stack
from rowmill.stack.programs import PROCESSES
from tests.conftest import EXAMPLES, make_tables
from tests.once import made_once


@dataclass(frozen=True)
class Example:
    """An example model as its training script left it."""

    estimator: object
    rows: pd.DataFrame  # its inputs, without the target


TABLES = {
    "wine": ("cultivar", None),
    "breast_cancer": ("diagnosis", {"0": "malignant", "1": "benign"}),
    "diabetes": ("progression", None),
    "mixed": ("cultivar", None),
}


@pytest.fixture(scope="session")
def examples(trained: Path) -> dict[str, Example]:
    """Every example model on tables, by name."""
    return {
        name: Example(
            joblib.load(trained / f"{name}.joblib"),
            pd.read_csv(trained / f"{name}.sample.csv").drop(columns=target),
        )
        for name, (target, _) in TABLES.items()
    }


@pytest.fixture(scope="session")
def sentiment(trained: Path) -> Example:
    """The example model on texts; its cleaning step is found where the training script found it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        estimator = joblib.load(trained / "sentiment.joblib")
    return Example(estimator, pd.read_csv(trained / "sentiment.sample.csv").drop(columns="sentiment"))


@pytest.fixture(scope="session")
def examples_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trained: Path
) -> Path:
    """A data folder to which every example model was added; a stack begins with a copy of it."""
    return made_once(request, tmp_path_factory, "examples", partial(add_examples, trained=trained))


def with_examples(examples_folder: Path, folder: Path) -> Path:
    """The folder, with every example model."""
    return shutil.copytree(examples_folder, folder, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, examples_folder: Path) -> Iterator[Stack]:
    """A stack that serves all example models; leases are short, so that faults are repaired soon."""
    settings = Settings(
        data_dir=with_examples(examples_folder, tmp_path_factory.mktemp("e2e")),
        port=0,
        flower_port=0,
        lease_seconds=3,
        heartbeat_seconds=0.5,
        caretaker_seconds=0.3,
        retry_seconds=0.1,
        max_upload_bytes=50_000_000,
    )
    with Stack(settings, only=set(PROCESSES) - {"flower"}) as running:
        yield running


def add_table_examples(settings: Settings, trained: Path, *names: str) -> None:
    """Add example models on tables, under the options of their documentation."""
    database = Database(settings.database_url)
    registry = Registry(database, settings.data_dir / "models")
    for name in names:
        target, labels = TABLES[name]
        registry.add(
            NewVersion(
                name=name,
                file=trained / f"{name}.joblib",
                sample=trained / f"{name}.sample.csv",
                targets=(target,),
                labels=labels,
            )
        )
    database.dispose()


def add_examples(folder: Path, trained: Path) -> None:
    """Make a data folder with every example model, under the options of its documentation."""
    settings = Settings(data_dir=folder)
    make_tables(settings.database_url)
    add_table_examples(settings, trained, *TABLES)
    database = Database(settings.database_url)
    registry = Registry(database, settings.data_dir / "models")
    registry.add(
        NewVersion(
            name="sentiment",
            file=trained / "sentiment.joblib",
            sample=trained / "sentiment.sample.csv",
            targets=("sentiment",),
            code=EXAMPLES / "sentiment_cleaning.py",
        )
    )
    digits = ImageSpec(width=8, height=8, mode="L", high=16)
    registry.add(NewVersion(name="digits", file=trained / "digits.joblib", image=digits))
    shapes = ImageSpec(width=24, height=24, mode="L", resize="bilinear", high=1)
    registry.add(NewVersion(name="shapes", file=trained / "shapes.joblib", image=shapes))
    database.dispose()


@pytest.fixture(scope="session")
def url(stack: Stack) -> str:
    return stack.url
