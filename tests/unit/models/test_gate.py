"""Bars: how they are read, when they are met, and what comes of a rival."""

from __future__ import annotations

import pytest

from models.errors import ModelError
from models.gate import FAILED, METRICS, Bar, Contest, Measured, Rival, checks

MEASURED = Measured(
    rows=200, unlabelled=3, failed=0, metrics={"accuracy": 0.9, "log_loss": 0.3, "roc_auc": None}
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("accuracy>=0.9", True),
        ("accuracy>0.9", False),
        (" accuracy >= 90e-2 ", True),
        ("log_loss<=.3", True),
        ("log_loss<0.3", False),
        ("log_loss<=0.31", True),
        ("roc_auc>=0", False),
        ("failed<=0", True),
        ("accuracy>=1", False),
    ],
)
def test_a_bar_is_met_or_not(text: str, met: bool) -> None:
    (check,) = (c for c in checks([Bar.parse(text)], MEASURED, "accuracy", None, gated=False))
    assert check.met is met


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accuracy", "not a bar such as"),
        ("accuracy=0.9", "not a bar such as"),
        ("accurate>=0.9", "no metric 'accurate'; say accuracy, f1"),
        ("accuracy<=0.9", "better the more it is; say >="),
        ("rmse>3", "better the less it is; say <="),
        ("accuracy>=high", "high is no number"),
        ("accuracy>=nan", "nan is no number"),
        ("accuracy>=", "not a bar such as"),
        ("accuracy>=1.5", "no model can reach that; the best accuracy is 1"),
        ("accuracy>1", "no model can reach that"),
        ("roc_auc>=2", "the best roc_auc is 1"),
        ("r2>=1.01", "the best r2 is 1"),
        ("rmse<0", "the best rmse is 0"),
        ("log_loss<=-1", "the best log_loss is 0"),
    ],
)
def test_a_bar_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as refused:
        Bar.parse(text)
    assert refused.value.code == "bad_bar"


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_asked(metric: str) -> None:
    read = [sign for sign in ("<=", ">=") if _is_bar(f"{metric}{sign}0.5")]
    assert len(read) == 1


def _is_bar(text: str) -> bool:
    try:
        Bar.parse(text)
    except ModelError:
        return False
    return True


def asked(*bars: str, failed: int = 0, contest: Contest | None = None, gated: bool = True) -> dict[str, bool]:
    measured = Measured(MEASURED.rows, MEASURED.unlabelled, failed, MEASURED.metrics)
    found = checks([Bar.parse(bar) for bar in bars], measured, "accuracy", contest, gated=gated)
    return {check.asked: check.met for check in found}


def against(failed: float = 0.0, **figures: float | None) -> Contest:
    return Contest(MEASURED.figures, Rival(version="m@1", metrics={**figures, FAILED: failed}))


def test_rows_without_an_answer_are_a_bar_unless_something_else_is_asked() -> None:
    assert asked("accuracy>=0.5", failed=1) == {"accuracy>=0.5": True, "failed<=0": False}
    assert asked("accuracy>=0.5", "failed<=0.01", failed=1) == {"accuracy>=0.5": True, "failed<=0.01": True}
    assert asked(failed=1, gated=False) == {}


@pytest.mark.parametrize(
    ("other", "better"), [(0.89, True), (0.9, False), (0.9 - 1e-12, False), (0.91, False), (None, True)]
)
def test_as_good_as_a_rival_is_not_better(other: float | None, better: bool) -> None:
    rival = against(accuracy=other, log_loss=0.4)
    assert list(asked(contest=rival).values()) == [True, better]
    assert list(asked("log_loss<=1", "accuracy>=0", contest=rival).values())[-1] is True


@pytest.mark.parametrize(("other", "better"), [(0.9, True), (0.9 + 1e-12, True), (0.91, False)])
def test_as_good_with_answers_to_more_rows_is_better(other: float, better: bool) -> None:
    assert list(asked(contest=against(failed=0.01, accuracy=other)).values()) == [True, better]


def test_a_rival_is_judged_by_a_metric_that_it_has() -> None:
    rival = against(accuracy=0.8, log_loss=None)
    assert asked("log_loss<=1", "accuracy>=0", contest=rival)["accuracy>0.8 of m@1"] is True
    assert asked("log_loss<=1", contest=rival)["accuracy>0.8 of m@1"] is True  # the default
