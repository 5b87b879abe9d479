"""A compiled scorer against its estimator on given rows, many and single ones: numbers, labels, refusals.

Where the estimator refuses a row the scorer must be unsure; where the scorer is unsure the estimator is asked
anyway, so that is never a fault. Which rows are worth comparing is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from models.outputs import largest_column
from models.scorers.adversaries import spread
from models.scorers.part import NotCompiled, Unsure

# Rows of each table that are also asked one by one.
SINGLE_ROWS = 300
# Calls of the estimator spent on finding out which rows of a table it refuses.
MAX_CALLS = 40

Rows: TypeAlias = "pa.Table | np.ndarray[Any, Any]"


class Differs(NotCompiled):
    """The compiled scorer answers something else than the estimator."""


@dataclass
class Found:
    """What was compared so far; differences are relative to the larger of 1 and the estimator's number."""

    rows: int = 0
    largest_difference: float = 0.0
    splits: int = 0  # in all trees of the model
    splits_compared: int = 0  # of these, each in its own tree or in the whole model
    splits_in_whole: int = 0  # of these, in the whole model

    def check(self, answered: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
        """Count rows of answers that are equal enough. Raises Differs."""
        if answered.shape != wanted.shape or answered.dtype != np.float64:
            what = f"{answered.dtype} of shape {answered.shape}, not float64 of shape {wanted.shape}"
            raise Differs(f"it answers {what}")
        self.rows += len(wanted)
        difference = _difference(answered, wanted)
        if not difference <= tolerance:
            raise Differs(f"its answers differ by {difference:.2g}, more than {tolerance:.2g}")
        self.largest_difference = max(self.largest_difference, difference)


@dataclass(frozen=True)
class Pair:
    """An estimator and what stands for it, on one kind of rows. Both give (rows, outputs).

    ``near_tie`` is as in :func:`outputs.largest_column`: the estimator is asked for the labels of such rows;
    None: never.
    """

    wanted: Callable[[Rows], np.ndarray]
    labels: Callable[[Rows], np.ndarray] | None  # the estimator's own, as positions of classes
    answered: Callable[[Rows], np.ndarray]
    answered_one: Callable[[Rows, int], np.ndarray]
    near_tie: float | None
    tolerance: float
    found: Found = field(default_factory=Found)

    def compare(self, rows: Rows) -> None:
        """Raises Differs."""
        try:
            wanted = self.wanted(rows)
        except Exception:  # noqa: BLE001  # a refusal is an answer here, whatever its type
            accepted, refused = _sorted_out(self.wanted, rows)
            if len(refused):
                self._compare_refusals(_take(rows, refused), rows)
            if not accepted:
                return
            rows = _take(rows, accepted)
            wanted = self.wanted(rows)
        self._compare_answers(rows, wanted)

    def _compare_answers(self, rows: Rows, wanted: np.ndarray) -> None:
        labels = self.labels(rows) if self.labels is not None else None
        answered = sure(self.answered, rows)
        if answered is not None:
            self.found.check(answered, wanted, self.tolerance)
            self._check_labels(answered, labels)
        for at in spread(len(rows), SINGLE_ROWS):
            one = sure(self.answered_one, rows, at)
            if one is not None:
                self.found.check(one[None], self._wanted_of_one(one, wanted, rows, at), self.tolerance)
                self._check_labels(one[None], None if labels is None else labels[at : at + 1])

    def _wanted_of_one(self, one: np.ndarray, wanted: np.ndarray, rows: Rows, at: int) -> np.ndarray:
        """scikit-learn itself may add up a row alone in another order than the same row among others."""
        return wanted[at : at + 1] if np.array_equal(one, wanted[at]) else self.wanted(_take(rows, [at]))

    def _check_labels(self, answered: np.ndarray, labels: np.ndarray | None) -> None:
        if labels is None:
            return
        positions, is_tie = largest_column(np.asfortranarray(answered), self.near_tie or 0.0)
        counted = np.ones(len(positions), bool) if self.near_tie is None else ~is_tie
        if (positions != labels)[counted].any():
            raise Differs("it would give another label")

    def _compare_refusals(self, refused: Rows, rows: Rows) -> None:
        """Alone, and among rows that are taken."""
        for at in range(len(refused)):
            if sure(self.answered_one, refused, at) is not None:
                raise Differs("it answers a row that scikit-learn refuses")
            if sure(self.answered, _take(refused, [at])) is not None:
                raise Differs("it answers rows that scikit-learn refuses")
        if sure(self.answered, rows) is not None:
            raise Differs("it answers rows of which scikit-learn refuses some")
        self.found.rows += len(refused)


def _sorted_out(wanted: Callable[[Rows], np.ndarray], rows: Rows) -> tuple[list[int], list[int]]:
    """Rows that the estimator takes, and rows that it refuses, by halving; the rest is not told apart."""
    accepted: list[int] = []
    refused: list[int] = []
    todo = [list(range(len(rows)))]
    calls = 0
    while todo and calls < MAX_CALLS:
        part = todo.pop()
        calls += 1
        try:
            wanted(rows if len(part) == len(rows) else _take(rows, part))
        except Exception:  # noqa: BLE001  # a refusal is an answer here, whatever its type
            if len(part) == 1:
                refused += part
            else:
                middle = len(part) // 2
                todo += [part[middle:], part[:middle]]
        else:
            accepted += part
    return sorted(accepted), refused


def _take(rows: Rows, chosen: Sequence[int]) -> Rows:
    if len(chosen) == len(rows):
        return rows
    return rows.take(pa.array(chosen)) if isinstance(rows, pa.Table) else rows[list(chosen)]


def sure(answer: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray | None:
    """What is answered, or None for Unsure: the estimator is asked then."""
    try:
        return answer(*arguments)
    except Unsure:
        return None


def _difference(answered: np.ndarray, wanted: np.ndarray) -> float:
    """0 only if all numbers are equal, NaN and infinities in the same places; infinite if not."""
    same = (answered == wanted) | (np.isnan(answered) & np.isnan(wanted))
    if same.all():
        return 0.0
    one, other = answered[~same], wanted[~same]
    with np.errstate(over="ignore", invalid="ignore"):
        differences = np.abs(one - other) / np.maximum(1.0, np.abs(other))
    return float(np.nan_to_num(differences, nan=np.inf).max())
