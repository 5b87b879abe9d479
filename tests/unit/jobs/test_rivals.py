"""A version beside a rival: both are judged on all labelled rows, whatever either of them cannot answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as truth
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor

from base.settings import Settings
from jobs.measuring import measure, measure_beside
from models.errors import ModelError
from tests.unit.jobs.test_holdout import FEATURES, HELD, TRAINING, model, settings, write
from tests.unit.models.making import added

__all__ = ["model", "settings"]  # fixtures

SMALLEST = np.finfo(np.float64).eps


def test_a_label_that_only_the_new_version_knows_is_wrong_for_the_rival(
    model: Any, settings: Settings, tmp_path: Path
) -> None:
    known = TRAINING[TRAINING["target"] < 2]
    rival = added(tmp_path / "rival", GaussianNB().fit(known[FEATURES], known["target"]))
    measured, contest = measure_beside(rival, model, write(HELD, tmp_path / "held.csv"), "target", settings)
    assert measured == measure(model, tmp_path / "held.csv", "target", settings)
    assert contest.figures == measured.figures
    true, predicted = HELD["target"], rival.estimator.predict(HELD[FEATURES])
    two = rival.estimator.predict_proba(HELD[FEATURES])
    three = np.column_stack([two, np.zeros(len(two))])
    area = truth.roc_auc_score(true == 1, two[:, 1])
    of_true = np.clip(three[np.arange(len(true)), true], SMALLEST, 1)
    squares = ((three - np.eye(3)[true]) ** 2).sum(axis=1)
    assert contest.rival.metrics == pytest.approx(
        {
            "accuracy": truth.accuracy_score(true, predicted),
            "f1": None,
            "f1_macro": truth.f1_score(true, predicted, average="macro"),
            "roc_auc": area,
            "log_loss": -np.log(of_true).mean(),
            "brier": squares.mean() / 2,
            "failed": 0.0,
        }
    )


def test_a_row_without_an_answer_is_a_wrong_answer(settings: Settings, tmp_path: Path) -> None:
    """Otherwise a rival that refuses gaps would be judged on the easier rows only."""
    rows = TRAINING.assign(target=TRAINING["target"] > 0)
    held = HELD.assign(target=HELD["target"] > 0)
    held.loc[::4, "ash"] = np.nan
    gaps = held["ash"].isna()
    rival = added(tmp_path / "rival", LogisticRegression(C=100).fit(rows[FEATURES], rows["target"]))
    forest = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2)
    takes_gaps = added(tmp_path / "new", forest.fit(rows[FEATURES], rows["target"]), compiled=False)
    file = write(held, tmp_path / "held.csv")
    measured, contest = measure_beside(rival, takes_gaps, file, "target", settings)
    assert (measured.failed, contest.figures) == (0, measured.figures)
    assert contest.terms == ", rows without an answer counted as wrong"

    true = held["target"].to_numpy()
    filled = held[FEATURES].fillna(0)
    predicted = np.where(gaps, ~true, rival.estimator.predict(filled))
    scores = np.where(gaps, np.where(true, -1, 2), rival.estimator.predict_proba(filled)[:, 1])
    sure = scores.clip(0, 1)
    theirs = contest.rival.metrics
    assert theirs["failed"] == gaps.mean()
    assert theirs["accuracy"] == pytest.approx(truth.accuracy_score(true, predicted))
    assert theirs["roc_auc"] == pytest.approx(truth.roc_auc_score(true, scores))
    assert theirs["brier"] == pytest.approx(((sure - true) ** 2).mean())
    of_true = np.clip(np.where(true, sure, 1 - sure), SMALLEST, 1)
    assert theirs["log_loss"] == pytest.approx(-np.log(of_true).mean())


def test_numbers_are_judged_where_both_answer(settings: Settings, tmp_path: Path) -> None:
    rows = load_diabetes(as_frame=True).frame[["age", "bmi", "bp", "target"]]
    train, held = rows[::2], rows[1::2].reset_index(drop=True)
    inputs = ["age", "bmi", "bp"]
    held.loc[::3, "bmi"] = np.nan
    rival = added(tmp_path / "rival", LinearRegression().fit(train[inputs], train["target"]))
    tree = DecisionTreeRegressor(max_depth=3, random_state=1).fit(train[inputs], train["target"])
    new = added(tmp_path / "new", tree, compiled=False)
    file = write(held, tmp_path / "held.csv")
    measured, contest = measure_beside(rival, new, file, "target", settings)
    common = held.dropna()
    assert (measured.rows, measured.failed) == (len(held), 0)
    assert contest.terms == f" on the {len(common)} rows that both answer"
    for side, figures in ((new, contest.figures), (rival, contest.rival.metrics)):
        wanted = truth.root_mean_squared_error(common["target"], side.estimator.predict(common[inputs]))
        assert figures["rmse"] == pytest.approx(wanted)
    assert contest.rival.metrics["failed"] == pytest.approx(1 - len(common) / len(held))
    every = truth.root_mean_squared_error(held["target"], tree.predict(held[inputs]))
    assert measured.metrics["rmse"] == pytest.approx(every)


@pytest.mark.parametrize(
    ("column", "estimator", "words"),
    [
        ("magnesium", GaussianNB(), "The input has no column 'magnesium'"),
        ("ash", LinearRegression(), "its task is regression, that of the new version classification"),
    ],
)
def test_what_is_wrong_with_the_rival_names_it(
    column: str, estimator: Any, *, words: str, model: Any, settings: Settings, tmp_path: Path
) -> None:
    inputs = pd.DataFrame({column: TRAINING["ash"]})
    rival = added(tmp_path / "rival", estimator.fit(inputs, TRAINING["target"]))
    with pytest.raises(ModelError, match=f"The rival m cannot be measured: .*{words}") as refused:
        measure_beside(rival, model, write(HELD, tmp_path / "held.csv"), "target", settings)
    assert "--better-than" in refused.value.message
