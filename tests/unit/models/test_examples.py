"""The example scripts run, and their models answer here as they do in process."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from examples.sentiment_cleaning import cleaned
from models.gate import Bar
from models.images import decode_image
from models.manifest import ImageSpec
from tests.conftest import EXAMPLES
from tests.unit.models.making import added_file, table_of


def said(trained: Path, name: str) -> str:
    """What the script printed that trained the model."""
    return (trained / f"train_{name}.txt").read_text()


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# Target, and what scores it in place of scikit-learn: one script at least for each kind of compiled scorer.
TABLES = {
    "breast_cancer": ("diagnosis", "linear"),
    "linear": ("progression", "linear"),
    "mixed": ("cultivar", "linear"),
    "tree": ("species", "trees"),
    "wine": ("cultivar", "trees"),
    "extra_trees": ("cultivar", "trees"),
    "boosting": ("diagnosis", "trees"),
    "diabetes": ("progression", "trees"),
    "network": ("diagnosis", "network"),
}
LABELS = {"breast_cancer": {"0": "malignant", "1": "benign"}}


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("train_*.py")), ids=lambda script: script.stem)
def test_every_script_is_told_of_and_says_how_its_model_is_added(script: Path) -> None:
    assert f"`{script.name}`" in (EXAMPLES / "README.md").read_text()
    name = script.stem.removeprefix("train_")
    assert f"rowmill models add {name.replace('_', '-')} OUT_DIR/{name}.joblib" in script.read_text()


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_s_model_passes_the_bar_of_its_script(trained: Path, name: str) -> None:
    bar = Bar.parse(re.findall(r'require="(.+?)"', (EXAMPLES / f"train_{name}.py").read_text())[0])
    held_back, target = pd.read_csv(trained / f"{name}.holdout.csv"), TABLES[name][0]
    model, truth = joblib.load(trained / f"{name}.joblib"), held_back[target]
    rows = held_back.drop(columns=target)
    given = rows if hasattr(model, "feature_names_in_") else rows.to_numpy()
    figures = {
        "accuracy": lambda: metrics.accuracy_score(truth, model.predict(given)),
        "roc_auc": lambda: metrics.roc_auc_score(truth, model.predict_proba(given)[:, 1]),
        "rmse": lambda: metrics.root_mean_squared_error(truth, model.predict(given)),
    }
    assert bar.is_met(figures[bar.metric]())


@pytest.mark.parametrize("name", list(TABLES))
def test_tables(trained: Path, tmp_path: Path, name: str) -> None:
    assert f"{name}: " in said(trained, name)
    (target, scorer), labels = TABLES[name], LABELS.get(name)
    sample = trained / f"{name}.sample.csv"
    model = added_file(tmp_path, trained / f"{name}.joblib", sample=sample, targets=[target], labels=labels)
    assert model.manifest.scorer is not None
    assert model.manifest.scorer.kind == scorer
    estimator = joblib.load(trained / f"{name}.joblib")
    rows = pd.read_csv(sample).drop(columns=target)
    given = rows if hasattr(estimator, "feature_names_in_") else rows.to_numpy()
    answer = model.score(table_of(rows))
    predicted = estimator.predict(given).tolist()
    if labels:
        predicted = [labels[str(label)] for label in predicted]
    assert answer["prediction"].to_pylist() == predicted
    if hasattr(estimator, "predict_proba"):
        found = np.column_stack([answer[column].to_numpy() for column in answer.column_names[1:]])
        tolerance = 0 if scorer == "trees" else 1e-12
        assert np.allclose(found, estimator.predict_proba(given), rtol=0, atol=tolerance)


def test_sentiment(trained: Path, tmp_path: Path) -> None:
    accuracy, on_average = map(float, re.findall(r"0\.\d+", said(trained, "sentiment")))
    assert min(accuracy, on_average) > 0.65
    texts = pd.read_csv(trained / "sentiment.sample.csv")
    assert texts["sentiment"].value_counts().tolist() == [100, 100, 100]
    assert not texts["text"].duplicated().any()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        estimator = joblib.load(trained / "sentiment.joblib")
    model = added_file(
        tmp_path,
        trained / "sentiment.joblib",
        sample=trained / "sentiment.sample.csv",
        targets=["sentiment"],
        code=EXAMPLES / "sentiment_cleaning.py",
    )
    answer = model.score(pa.table({"text": texts["text"].tolist()}))
    assert answer["prediction"].to_pylist() == estimator.predict(texts["text"]).tolist()
    found = np.column_stack([answer[column].to_numpy() for column in answer.column_names[1:]])
    assert np.array_equal(found, estimator.predict_proba(texts["text"]))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Look: https://example.com/a?b=1 NOW!!!", "look now"),
        ("@you_2 don\u2019t go, it isn't “good”… 😀", "dont go it isnt good 😀"),
        ("Größe 12.5 \u2013 schön", "größe 12 5 schön"),
    ],
)
def test_cleaning_leaves_words_and_emoji(text: str, clean: str) -> None:
    assert [words.split() for words in cleaned([text])] == [clean.split()]


def test_digits(trained: Path, tmp_path: Path) -> None:
    spec = ImageSpec(width=8, height=8, mode="L", high=16)
    with zipfile.ZipFile(trained / "digits.zip") as archive:
        pixels = np.array([decode_image(archive.read(name), spec) for name in archive.namelist()])
    assert pixels.shape == (1797, 64)
    model = added_file(tmp_path, trained / "digits.joblib", image=spec)
    expected = joblib.load(trained / "digits.joblib").predict(pixels)
    assert model.score(pixels)["prediction"].to_pylist() == expected.tolist()


def test_shapes(trained: Path, tmp_path: Path) -> None:
    assert "shapes: accuracy 1.000 on 90" in said(trained, "shapes")
    spec = ImageSpec(width=24, height=24, mode="L", resize="bilinear", high=1)
    with zipfile.ZipFile(trained / "shapes.zip") as archive:
        names = archive.namelist()
        pixels = np.array([decode_image(archive.read(name), spec) for name in names])
    assert {name.rsplit(".")[-1] for name in names} == {"jpg", "png"}
    model = added_file(tmp_path, trained / "shapes.joblib", image=spec)
    expected = joblib.load(trained / "shapes.joblib").predict(pixels)
    assert model.score(pixels)["prediction"].to_pylist() == expected.tolist()


def test_shapes_of_a_folder_of_ones_own(trained: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    for name in ("circle", "square"):
        shutil.copytree(trained / "shapes" / name, own / name)
    (own / "circle" / "notes.txt").write_text("no picture")
    assert "shapes: accuracy" in run("train_shapes.py", tmp_path / "out", own)
    assert joblib.load(tmp_path / "out" / "shapes.joblib").classes_.tolist() == ["circle", "square"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_make_data_gives_the_same_rows_every_time(tmp_path: Path, suffix: str) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text("a,b,target\n1.5,x,0\n2.5,,1\n")
    outputs = [tmp_path / f"{number}.{suffix}" for number in (1, 2)]
    for output in outputs:
        run("make_data.py", sample, output, "--rows", 250_000, "--drop", "target")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    frame = pd.read_csv(outputs[0]) if suffix == "csv" else pq.read_table(outputs[0]).to_pandas()
    assert list(frame.columns) == ["id", "a", "b"]
    assert frame["id"].tolist() == list(range(250_000))
