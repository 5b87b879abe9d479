"""`rowmill compare` on a real stack: two versions, one input that is sent once."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner, Result

from base.database import Database
from models.adding import NewVersion
from models.registry import Registry
from rowmill import Client
from rowmill.cli import app
from rowmill.stack import Stack
from tests.e2e.conftest import Example

ROWS = 3000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, stack: Stack, examples: dict[str, Example]) -> Path:
    """Labelled rows, one of them bad; `rival@1` and `rival@2` are on the stack."""
    folder = tmp_path_factory.mktemp("rival")
    rows = examples["wine"].rows.sample(ROWS, replace=True, random_state=3, ignore_index=True)
    labels = pd.Series(examples["wine"].estimator.predict(rows))  # type: ignore[attr-defined]
    rows.head(200).to_csv(folder / "sample.csv", index=False)
    database = Database(stack.settings.database_url)
    registry = Registry(database, stack.settings.data_dir / "models")
    for estimator in (DecisionTreeClassifier(max_depth=2), DummyClassifier(strategy="most_frequent")):
        joblib.dump(estimator.fit(rows, labels), folder / "model.joblib")
        registry.add(NewVersion("rival", folder / "model.joblib", sample=folder / "sample.csv"))
    database.dispose()
    labelled = rows.assign(truth=labels).astype({"hue": object})
    labelled.loc[17, "hue"] = "oops"
    labelled.to_csv(folder / "labelled.csv", index=False)
    return folder / "labelled.csv"


@pytest.fixture
def _at_stack(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWMILL_URL", stack.url)


def compare(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", str(data), *arguments])


@pytest.mark.usefixtures("_at_stack")
def test_two_versions_on_one_input(stack: Stack, data: Path) -> None:
    ended = compare(data, "-m", "rival@1", "-m", "rival@2", "--labels", "truth", "--json")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    with Client(stack.url) as client:
        jobs = [client.job(job_id).status() for job_id in found["jobs"]]
        first, second = (client.job(job_id).result() for job_id in found["jobs"])
    assert jobs[0]["input"] == jobs[1]["input"], "sent once"
    assert (found["rows"], found["compared"]) == (ROWS, ROWS - 1)
    [target] = found["targets"]
    good = first["error"].isna()
    assert target["flipped"] == (first["prediction"] != second["prediction"])[good].sum() > 0
    truth = first["truth"]
    for side, frame in (("first", first), ("second", second)):
        right = (frame["prediction"] == truth)[good].mean()
        assert target["metrics"][side]["accuracy"] == pytest.approx(right)


@pytest.mark.usefixtures("_at_stack")
def test_what_people_read_and_a_bar_for_scripts(data: Path) -> None:
    ended = compare(data, "-m", "rival@1", "-m", "rival@2", "--labels", "truth", "--fail-on-flips", "1%")
    assert ended.exit_code == 6
    assert "labels differ, more than 0.01 of all" in ended.stderr
    assert "rival@1 and rival@2: 2,999 of 3,000 rows compared (1 bad for both)" in ended.stdout
    for line in ("FLIPS rival@1 \\ rival@2", "QUANTILE of confidence", "METRIC (2,999 labelled rows)"):
        assert line in ended.stdout
    assert compare(data, "-m", "rival@1", "-m", "rival@1", "--fail-on-flips", "0").exit_code == 0


@pytest.mark.usefixtures("_at_stack")
def test_what_cannot_be_compared_is_refused_before_anything_is_sent(data: Path) -> None:
    ended = compare(data, "-m", "rival@1", "-m", "diabetes")
    assert ended.exit_code == 1
    assert "rival@1 answers classes, diabetes@1 numbers" in ended.stderr
    assert compare(data, "-m", "rival@1").exit_code == 2
    assert compare(data, "-m", "rival@1", "-m", "rival@2", "--labels", "a,b").exit_code == 2
    assert compare(data, "-m", "diabetes", "-m", "diabetes", "--fail-on-flips", "2").exit_code == 2
