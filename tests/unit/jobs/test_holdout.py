"""A version measured on a labelled file: the figures of scikit-learn, whatever the format and the chunks."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from sklearn import metrics as truth
from sklearn.datasets import load_diabetes, load_wine
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline

from base.settings import Settings
from jobs.measuring import measure
from models.errors import ModelError
from models.loading import LoadedModel
from models.manifest import ImageSpec
from tests.unit.models.making import added

FEATURES = ["alcohol", "malic_acid", "ash"]
WINE = load_wine(as_frame=True).frame[[*FEATURES, "target"]]
TRAINING, HELD = WINE[::2], WINE[1::2].reset_index(drop=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Chunks of a few hundred bytes."""
    return Settings(data_dir=tmp_path / "data", max_chunk_bytes=1024)


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return added(tmp_path / "model", GaussianNB().fit(TRAINING[FEATURES], TRAINING["target"]))


Checked = Callable[[pd.DataFrame, str | None], object]


@pytest.fixture
def checked(model: LoadedModel, settings: Settings, tmp_path: Path) -> Checked:
    """Measures the model on a frame."""
    return lambda frame, target: measure(model, write(frame, tmp_path / "held.csv"), target, settings)


def expected(model: LoadedModel, held: pd.DataFrame) -> dict[str, float]:
    probabilities = model.estimator.predict_proba(held[FEATURES])
    predicted = model.estimator.predict(held[FEATURES])
    return {
        "accuracy": truth.accuracy_score(held["target"], predicted),
        "f1_macro": truth.f1_score(held["target"], predicted, average="macro"),
        "roc_auc": truth.roc_auc_score(held["target"], probabilities, multi_class="ovr"),
        "log_loss": truth.log_loss(held["target"], probabilities),
        "brier": truth.brier_score_loss(held["target"], probabilities),
    }


def write(frame: pd.DataFrame, path: Path) -> Path:
    match path.name.partition(".")[2]:
        case "csv":
            frame.to_csv(path, index=False)
        case "csv.gz":
            path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
        case "jsonl":
            frame.to_json(path, orient="records", lines=True)
        case "parquet":
            frame.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["held.csv", "held.csv.gz", "held.jsonl", "held.parquet"])
def test_figures_are_those_of_all_rows_at_once(
    name: str, model: LoadedModel, settings: Settings, tmp_path: Path
) -> None:
    frame = HELD.assign(unused="x")[["unused", "target", *reversed(FEATURES)]]
    measured = measure(model, write(frame, tmp_path / name), "target", settings)
    assert (measured.rows, measured.unlabelled, measured.failed) == (len(HELD), 0, 0)
    assert measured.figures == pytest.approx({**expected(model, HELD), "f1": None, "failed": 0.0})


def test_no_chunk_has_all_rows(
    model: LoadedModel, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Watched(LoadedModel):
        def score(self, rows: pa.Table | np.ndarray, confidence: bool = False) -> pa.Table:
            sizes.append(len(rows))
            return super().score(rows, confidence)

    watched = Watched(model.manifest, lambda: model.estimator, scorer=model.scorer)
    many = pd.concat([HELD] * 20)
    measured = measure(watched, write(many, tmp_path / "held.csv"), "target", settings)
    assert sum(sizes) == measured.rows == len(many)
    assert max(sizes) < 100


def test_rows_without_label_and_rows_without_answer_are_counted(
    model: LoadedModel, settings: Settings, tmp_path: Path
) -> None:
    rows = HELD.astype(object)
    rows.loc[3, "target"] = ""
    rows.loc[7, "ash"] = "broken"
    rows.loc[8, "alcohol"] = ""  # this estimator takes no gaps
    measured = measure(model, write(rows, tmp_path / "held.csv"), "target", settings)
    assert (measured.rows, measured.unlabelled, measured.failed) == (len(HELD) - 1, 1, 2)
    rest = HELD.drop([3, 7, 8])
    assert measured.metrics == pytest.approx({**expected(model, rest), "f1": None})
    assert measured.figures["failed"] == 2 / (len(HELD) - 1)


def test_labels_may_have_the_names_of_results(settings: Settings, tmp_path: Path) -> None:
    renamed = added(
        tmp_path / "model",
        LogisticRegression().fit(TRAINING[FEATURES], TRAINING["target"] > 0),
        labels={"false": "first", "true": "other"},
    )
    frame = HELD.assign(target=np.where(HELD["target"] > 0, "other", "first"))
    names = measure(renamed, write(frame, tmp_path / "names.csv"), "target", settings)
    frame = HELD.assign(target=HELD["target"] > 0)
    originals = measure(renamed, write(frame, tmp_path / "held.parquet"), "target", settings)
    assert (names.rows, names.failed) == (originals.rows, originals.failed) == (len(HELD), 0)
    assert names.metrics == pytest.approx(originals.metrics)
    predicted = renamed.estimator.predict(HELD[FEATURES])
    assert names.metrics["f1"] == pytest.approx(truth.f1_score(HELD["target"] > 0, predicted))


def test_a_classifier_without_probabilities_has_fewer_figures(settings: Settings, tmp_path: Path) -> None:
    model = added(tmp_path / "model", RidgeClassifier().fit(TRAINING[FEATURES], TRAINING["target"]))
    figures = measure(model, write(HELD, tmp_path / "held.csv"), "target", settings).metrics
    assert set(figures) == {"accuracy", "f1", "f1_macro"}
    predicted = model.estimator.predict(HELD[FEATURES])
    assert figures["accuracy"] == truth.accuracy_score(HELD["target"], predicted)


def test_a_regression(settings: Settings, tmp_path: Path) -> None:
    rows = load_diabetes(as_frame=True).frame
    inputs = [name for name in rows if name != "target"]
    model = added(tmp_path / "model", LinearRegression().fit(rows[inputs][::2], rows["target"][::2]))
    held = rows[1::2]
    measured = measure(model, write(held, tmp_path / "held.csv"), "target", settings)
    predicted = model.estimator.predict(held[inputs])
    assert measured.metrics == pytest.approx(
        {
            "r2": truth.r2_score(held["target"], predicted),
            "mae": truth.mean_absolute_error(held["target"], predicted),
            "rmse": truth.root_mean_squared_error(held["target"], predicted),
        }
    )


def test_texts(settings: Settings, tmp_path: Path) -> None:
    texts = ["good film", "bad film", "good", "bad"] * 10
    moods = ["up", "down"] * 20
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, moods)
    model = added(tmp_path / "model", pipeline)
    held = pd.DataFrame(
        {"review": ["good, very good", "bad bad", "", "good"], "mood": ["up", "up", "up", None]}
    )
    measured = measure(model, write(held, tmp_path / "held.csv"), "mood", settings)
    assert (measured.rows, measured.unlabelled, measured.failed) == (3, 1, 1)
    assert measured.metrics["accuracy"] == 0.5


def test_images_have_their_label_as_their_folder(settings: Settings, tmp_path: Path) -> None:
    shades = np.arange(0, 256, 5, dtype=np.uint8)
    pixels = np.repeat(shades[:, np.newaxis], 4, axis=1)
    names = np.where(shades < 128, "dark", "light")
    spec = ImageSpec(width=2, height=2)
    model = added(tmp_path / "model", LogisticRegression().fit(pixels.astype(float), names), image=spec)
    path = tmp_path / "held.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for shade, folder in [(10, "dark"), (20, "light"), (240, "light"), (230, "light")]:
            picture = io.BytesIO()
            Image.new("L", (2, 2), shade).save(picture, "PNG")
            archive.writestr(f"set/{folder}/{shade}.png", picture.getvalue())
        archive.writestr("set/light/broken.png", b"no picture")
    measured = measure(model, path, None, settings)
    assert (measured.rows, measured.failed, measured.metrics["accuracy"]) == (5, 1, 0.75)


@pytest.mark.parametrize(
    ("change", "target", "code", "words"),
    [
        ({}, "kind", "unknown_target", "the holdout has the columns alcohol, malic_acid, ash, target"),
        ({}, None, "unknown_target", "--target COLUMN"),
        ({"target": 7}, "target", "unknown_label", "Row 1 of the holdout has the label '7'"),
        ({"target": ""}, "target", "bad_holdout", "no row with a label"),
        ({"ash": None}, "target", "missing_column", "'ash'"),
    ],
)
def test_a_file_that_cannot_tell_is_refused(
    change: dict[str, Any], target: str | None, code: str, words: str, checked: Checked
) -> None:
    with pytest.raises(ModelError, match=words) as refused:
        checked(HELD.assign(**change).dropna(axis="columns"), target)
    assert refused.value.code == code


@pytest.mark.parametrize("position", range(4))
def test_columns_without_names_are_counted_without_the_label(
    position: int, settings: Settings, tmp_path: Path
) -> None:
    model = added(tmp_path / "model", GaussianNB().fit(TRAINING[FEATURES].to_numpy(), TRAINING["target"]))
    frame = HELD[FEATURES].set_axis(["a", "b", "c"], axis="columns")
    frame.insert(position, "target", HELD["target"])
    measured = measure(model, write(frame, tmp_path / "held.csv"), "target", settings)
    predicted = model.estimator.predict(HELD[FEATURES].to_numpy())
    assert measured.metrics["accuracy"] == truth.accuracy_score(HELD["target"], predicted)


@pytest.mark.parametrize("name", ["held.csv", "held.csv.gz", "held.jsonl"])
def test_a_column_that_cannot_be_read_is_the_files_fault(
    name: str, model: LoadedModel, settings: Settings, tmp_path: Path
) -> None:
    """All rows would fail, and a version that is better than production would seem to be a poor one."""
    frame = HELD.assign(ash=[f"{value}".replace(".", ",") for value in HELD["ash"]])
    words = "Column 'ash' must be a number, but holds '2,14' .*mark, save the holdout as Parquet"
    with pytest.raises(ModelError, match=words) as refused:
        measure(model, write(frame, tmp_path / name), "target", settings)
    assert refused.value.code == "mistyped_column"


def test_a_file_that_is_not_there_is_refused(model: LoadedModel, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        measure(model, tmp_path / "nowhere.csv", "target", settings)


def test_several_outputs_have_no_figures(settings: Settings, tmp_path: Path) -> None:
    both = np.column_stack([TRAINING["target"], TRAINING["ash"]])
    model = added(tmp_path / "model", LinearRegression().fit(TRAINING[FEATURES], both))
    with pytest.raises(ModelError, match="2 outputs") as refused:
        measure(model, write(HELD, tmp_path / "held.csv"), "target", settings)
    assert refused.value.code == "no_metrics"
