"""`rowmill models add --holdout`: what is measured, asked and said, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from typer.testing import Result

from rowmill.cli.exits import ExitCode
from tests.unit.models.test_models_cli import KIND, WINE, data_dir, file, models

__all__ = ["data_dir", "file"]  # fixtures


@pytest.fixture
def holdout(tmp_path: Path) -> Path:
    path = tmp_path / "held.csv"
    WINE.assign(kind=KIND)[::3].to_csv(path, index=False)
    return path


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """A model that has learned from the wrong labels."""
    path = tmp_path / "poor.joblib"
    joblib.dump(GaussianNB().fit(WINE.to_numpy(), (KIND + 1) % 3), path)
    return path


def add(file: Path, holdout: Path, *options: object) -> Result:
    return models("add", "wine", file, "--target", "kind", "--holdout", holdout, *options)


def test_figures_are_told_stored_and_shown(file: Path, holdout: Path) -> None:
    added = add(file, holdout)
    assert (added.exit_code, added.stdout) == (0, "wine@1\n")
    assert "on 60 rows of held.csv" in added.stderr
    (shown,) = (line for line in models("show", "wine").stdout.splitlines() if line.startswith("measured"))
    assert "accuracy 1, f1_macro 1, " in shown
    assert shown.endswith("failed 0 on 60 rows of held.csv")
    evaluation = json.loads(models("show", "wine", "--json").stdout)["evaluation"]
    assert set(evaluation["metrics"]) == {
        "accuracy",
        "f1",
        "f1_macro",
        "roc_auc",
        "log_loss",
        "brier",
        "failed",
    }
    assert (evaluation["rows"], evaluation["checks"], evaluation["rival"]) == (60, [], None)


def test_a_version_below_the_bar_is_not_added(file: Path, poor: Path, holdout: Path) -> None:
    missed = add(poor, holdout, "--require", "accuracy>=0.85", "--require", "log_loss<=100")
    assert (missed.exit_code, missed.stdout) == (ExitCode.BAR_MISSED, "")
    lines = {line.split()[0]: line.split()[2:] for line in missed.stderr.splitlines()}
    assert lines["accuracy"] == ["accuracy>=0.85", "missed"]
    assert lines["log_loss"] == ["log_loss<=100", "ok"]
    assert lines["failed"] == ["failed<=0", "ok"]
    assert "it does not reach accuracy>=0.85 (found 0)" in missed.stderr
    assert models("ls").stdout == ""
    document = json.loads(add(poor, holdout, "--require", "accuracy>=0.85", "--json").stdout)
    assert document["added"] is False
    assert [check["met"] for check in document["evaluation"]["checks"]] == [False, True]
    assert add(file, holdout, "--require", "accuracy>=0.85", "--json").exit_code == 0


def test_a_version_has_to_be_better_than_another(file: Path, poor: Path, holdout: Path) -> None:
    better = ["--better-than", "production"]
    assert add(poor, holdout, *better).exit_code == 0  # the first has nothing to be better than
    assert add(poor, holdout, *better).exit_code == ExitCode.BAR_MISSED
    added = add(file, holdout, *better, "--require", "log_loss<1", "--json")
    evaluation = json.loads(added.stdout)["evaluation"]
    assert evaluation["rival"]["version"] == "wine@1"
    assert evaluation["rival"]["metrics"]["accuracy"] < evaluation["metrics"]["accuracy"]
    assert evaluation["checks"][-1]["metric"] == "log_loss"
    assert add(poor, holdout, "--better-than", "2").exit_code == ExitCode.BAR_MISSED
    models("alias", "wine@1", "production")
    assert add(file, holdout, *better).exit_code == 0  # better than wine@1, which production means now
    unknown = add(file, holdout, "--better-than", "champion")
    assert (unknown.exit_code, "unknown_alias" in unknown.stderr) == (1, True)


def test_a_rival_that_knows_fewer_classes_is_wrong_about_the_others(
    file: Path, holdout: Path, tmp_path: Path
) -> None:
    two = tmp_path / "two.joblib"
    joblib.dump(GaussianNB().fit(WINE[KIND < 2].to_numpy(), KIND[KIND < 2]), two)
    assert models("add", "wine", two).exit_code == 0
    added = add(file, holdout, "--better-than", "1", "--json")
    assert added.exit_code == 0
    rival = json.loads(added.stdout)["evaluation"]["rival"]
    assert rival["metrics"]["accuracy"] == pytest.approx((KIND[::3] < 2).mean(), abs=0.02)


def test_a_rival_without_probabilities_is_judged_by_its_labels(
    file: Path, holdout: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.joblib"
    joblib.dump(RidgeClassifier().fit(WINE.to_numpy(), (KIND + 1) % 3), plain)
    assert models("add", "wine", plain).exit_code == 0
    added = add(file, holdout, "--better-than", "1", "--require", "roc_auc>=0.9", "--json")
    assert added.exit_code == 0
    assert json.loads(added.stdout)["evaluation"]["checks"][-1]["metric"] == "accuracy"


def test_a_rival_that_cannot_be_loaded_is_named_with_a_way_out(
    file: Path, holdout: Path, data_dir: Path
) -> None:
    assert models("add", "wine", file).exit_code == 0
    for stored in (data_dir / "models" / "wine" / "1").iterdir():
        stored.write_bytes(b"no model")
    refused = add(file, holdout, "--better-than", "production")
    assert refused.exit_code == ExitCode.FAILED
    assert "The rival wine@1 cannot be measured: " in refused.stderr
    assert "or leave it out for this one. (digest_mismatch)" in refused.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--require", "accuracy>=0.9"], "--holdout"),
        (["--better-than", "production"], "--holdout"),
        (["--holdout", "held.csv", "--require", "accuracy=1"], "is not a bar"),
        (["--holdout", "held.csv", "--target", "a,b"], "one output"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(
    file: Path, data_dir: Path, options: list[str], words: str
) -> None:
    result = models("add", "wine", file, *options)
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr
    assert not data_dir.exists()
