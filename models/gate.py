"""What a version was found to be worth on labelled rows, what was asked of it, and whether that is enough.

Pure data, stored in the manifest. How rows become figures stands in ``metrics``; who scores them is not known
here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from models.errors import ModelError

HIGHER_IS_BETTER = ("accuracy", "f1", "f1_macro", "roc_auc", "r2")
LOWER_IS_BETTER = ("log_loss", "brier", "mae", "rmse")
# The share of labelled rows that have no answer. Unless something else is asked there may be none, because
# the other figures tell nothing about them.
FAILED = "failed"
# Chunks of other sizes are other sums: the same answers differ by this much at most.
ROUNDING = 1e-9
METRICS = (*HIGHER_IS_BETTER, *LOWER_IS_BETTER, FAILED)
# What a model that is always right, and sure of it, has: of metrics that are better the more they are, and of
# all others.
BEST_HIGH, BEST_LOW = 1.0, 0.0
_BAR = re.compile(r"\s*([a-z0-9_]+)\s*(>=|<=|>|<)\s*([^\s=<>]+)\s*")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


@dataclass(frozen=True)
class Bar:
    """A least or greatest value of a metric, such as ``accuracy>=0.85``."""

    metric: str
    sign: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Bar:
        """Raises ModelError ``bad_bar``, also for a bar that only bad models can take, or none at all."""
        found = _BAR.fullmatch(text)
        if found is None:
            raise ModelError("bad_bar", f"{text!r} is not a bar such as 'accuracy>=0.85' or 'rmse<12'.")
        metric, sign, number = found.groups()
        if metric not in METRICS:
            raise ModelError("bad_bar", f"{text!r}: there is no metric {metric!r}; say {', '.join(METRICS)}.")
        direction = ">" if metric in HIGHER_IS_BETTER else "<"
        if not sign.startswith(direction):
            better = "more" if direction == ">" else "less"
            raise ModelError("bad_bar", f"{text!r}: {metric} is better the {better} it is; say {direction}=.")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ModelError("bad_bar", f"{text!r}: {number} is no number.")
        bar, best = cls(metric, sign, value), BEST_HIGH if direction == ">" else BEST_LOW
        if not bar.is_met(best):
            raise ModelError("bad_bar", f"{text!r}: no model can reach that; the best {metric} is {best:g}.")
        return bar

    def is_met(self, found: float | None) -> bool:
        """A metric that could not be computed meets no bar."""
        if found is None:
            return False
        is_equal = found == self.value and len(self.sign) > 1
        return is_equal or (found > self.value if self.sign[0] == ">" else found < self.value)

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.value:g}"


@dataclass(frozen=True)
class Measured:
    """What one version answered on a holdout. A metric that cannot be computed is None.

    ``rows`` have a label; ``failed`` of them have no answer, and count in no other metric.
    """

    rows: int
    unlabelled: int
    failed: int
    metrics: Mapping[str, float | None]

    @property
    def figures(self) -> dict[str, float | None]:
        """All metrics, the share of failed rows with them."""
        return {**self.metrics, FAILED: self.failed / self.rows}


class Check(_Record):
    """One thing that was asked: a bar, or to be better than another version."""

    asked: str
    metric: str
    found: float | None
    met: bool


class Rival(_Record):
    """Another version, measured on the same rows; what it has no answer to counts against it."""

    version: str
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class Contest:
    """A version and another one, judged alike; ``terms`` says how, where not all rows were answered."""

    figures: Mapping[str, float | None]
    rival: Rival
    terms: str = ""


class Evaluation(_Record):
    """How a version did on a labelled file when it was added."""

    holdout: str
    sha256: str
    rows: int
    unlabelled: int
    metrics: dict[str, float | None]
    checks: tuple[Check, ...] = ()
    rival: Rival | None = None

    @property
    def missed(self) -> list[Check]:
        """What was asked and not found."""
        return [check for check in self.checks if not check.met]


class BarMissed(ModelError):
    """A version that is not good enough to be added."""

    def __init__(self, name: str, evaluation: Evaluation) -> None:
        missed = ", ".join(f"{check.asked} (found {shown(check.found)})" for check in evaluation.missed)
        super().__init__("bar_missed", f"{name} was not added: it does not reach {missed}.")
        self.evaluation = evaluation


def checks(
    bars: Sequence[Bar], measured: Measured, default: str, contest: Contest | None, *, gated: bool
) -> Iterator[Check]:
    """What was asked, in order.

    Against a rival the first metric counts that a bar names and the rival has, else ``default``.

    ``gated`` says that anything was asked at all: then rows without an answer are bars too.
    """
    asked = list(bars)
    if gated and all(bar.metric != FAILED for bar in bars):
        asked.append(Bar(FAILED, "<=", 0.0))
    figures = measured.figures
    for bar in asked:
        found = figures.get(bar.metric)
        yield Check(asked=str(bar), metric=bar.metric, found=found, met=bar.is_met(found))
    if contest is not None:
        theirs = contest.rival.metrics
        named = (bar.metric for bar in bars if bar.metric != FAILED)
        yield _better(next((name for name in named if theirs.get(name) is not None), default), contest)


def _better(metric: str, contest: Contest) -> Check:
    """Better, not as good: a new version that changes nothing is not worth the move.

    As good with answers to more rows is better, and anything is better than a rival without a figure.
    """
    sign, direction = (">", 1) if metric in HIGHER_IS_BETTER else ("<", -1)
    found, other = contest.figures.get(metric), contest.rival.metrics.get(metric)
    met = found is not None
    if found is not None and other is not None:
        gain, rounding = direction * (found - other), ROUNDING * max(1.0, abs(other))
        met = gain > rounding or (gain >= -rounding and _answers_more(contest))
    asked = f"{metric}{sign}{shown(other)} of {contest.rival.version}{contest.terms}"
    return Check(asked=asked, metric=metric, found=found, met=met)


def _answers_more(contest: Contest) -> bool:
    ours, theirs = contest.figures.get(FAILED) or 0.0, contest.rival.metrics.get(FAILED) or 0.0
    return ours < theirs


def shown(value: float | None) -> str:
    """A figure for people; a dash for one that could not be computed."""
    return "-" if value is None else f"{value:.6g}"
