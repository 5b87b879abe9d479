"""Whether a compiled scorer is as good as its estimator: equal wherever it answers, and not slower.

It is compared on the sample's rows and on rows made against it (``adversaries``): the whole scorer on tables,
and its core on what the last step is given. Where the estimator refuses a row the scorer must be unsure;
where the scorer is unsure the estimator is asked anyway, so that is never a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from models.estimators import predicts_by_argmax
from models.inputs import estimator_input
from models.manifest import Manifest
from models.outputs import checked_predictions, checked_probabilities, largest_column, predicted_positions
from models.scorers.adversaries import infinite, missing, near, odd_matrices, odd_tables, split_rows, spread
from models.scorers.part import Cell, NotCompiled, Unsure
from models.scorers.scorer import Scorer

# A sum in another order moves the last bits of linear algebra; anything more is another formula.
LINEAR_TOLERANCE = 1e-12
# Rows of each table that are also asked one by one.
SINGLE_ROWS = 300
# Of the rows made from splits one in so many is also given in the other layout, and in 32 bits.
OTHER_FORMS = 5
# Labels follow from numbers, so they are compared for the longer tables only.
LABELLED_ROWS = 100
# Calls of the estimator spent on finding out which rows of a table it refuses.
MAX_CALLS = 40
_EXACT = ("sklearn.tree.", "sklearn.ensemble.")

Rows: TypeAlias = "pa.Table | np.ndarray[Any, Any]"


class Differs(NotCompiled):
    """The compiled scorer answers something else than the estimator."""


@dataclass
class Found:
    """What was compared so far; differences are relative to the larger of 1 and the estimator's number."""

    rows: int = 0
    largest_difference: float = 0.0


@dataclass(frozen=True)
class _Pair:
    """An estimator and what stands for it, on one kind of rows. Both give (rows, outputs)."""

    wanted: Callable[[Rows], np.ndarray]
    labels: Callable[[Rows], np.ndarray] | None  # the estimator's own, as positions of classes
    answered: Callable[[Rows], np.ndarray]
    answered_one: Callable[[Rows, int], np.ndarray]
    takes_ties: bool
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
        answered = _sure(self.answered, rows)
        if answered is not None:
            self._check(answered, wanted)
            self._check_labels(answered, rows)
        for at in spread(len(rows), SINGLE_ROWS):
            one = _sure(self.answered_one, rows, at)
            if one is not None:
                self._check(one[None], self._wanted_of_one(one, wanted, rows, at))

    def _wanted_of_one(self, one: np.ndarray, wanted: np.ndarray, rows: Rows, at: int) -> np.ndarray:
        """scikit-learn itself may add up a row alone in another order than the same row among others."""
        return wanted[at : at + 1] if np.array_equal(one, wanted[at]) else self.wanted(_take(rows, [at]))

    def _check(self, answered: np.ndarray, wanted: np.ndarray) -> None:
        if answered.shape != wanted.shape or answered.dtype != np.float64:
            what = f"{answered.dtype} of shape {answered.shape}, not float64 of shape {wanted.shape}"
            raise Differs(f"it answers {what}")
        self.found.rows += len(wanted)
        difference = _difference(answered, wanted)
        if not difference <= self.tolerance:
            raise Differs(f"its answers differ by {difference:.2g}, more than {self.tolerance:.2g}")
        self.found.largest_difference = max(self.found.largest_difference, difference)

    def _check_labels(self, answered: np.ndarray, rows: Rows) -> None:
        if self.labels is None or len(rows) < LABELLED_ROWS:
            return
        positions, near_tie = largest_column(np.asfortranarray(answered))
        counted = np.ones(len(positions), bool) if self.takes_ties else ~near_tie
        if (positions != self.labels(rows))[counted].any():
            raise Differs("it would give another label")

    def _compare_refusals(self, refused: Rows, rows: Rows) -> None:
        """Alone, and among rows that are taken."""
        for at in range(len(refused)):
            if _sure(self.answered_one, refused, at) is not None:
                raise Differs("it answers a row that scikit-learn refuses")
            if _sure(self.answered, _take(refused, [at])) is not None:
                raise Differs("it answers rows that scikit-learn refuses")
        if _sure(self.answered, rows) is not None:
            raise Differs("it answers rows of which scikit-learn refuses some")
        self.found.rows += len(refused)


def compare(
    scorer: Scorer,
    last: Any,
    estimator: Any,
    manifest: Manifest,
    rows: Rows,
    *,
    tolerance: float | None = None,
) -> Found:
    """Compare on ``rows`` and on all adversaries; raises Differs.

    ``tolerance`` None: bit-equal for trees, LINEAR_TOLERANCE for everything else.
    """
    if tolerance is None:
        tolerance = 0.0 if _is_exact(last) else LINEAR_TOLERANCE
    generator = np.random.default_rng(0)
    found = Found()
    last, categories = without_own_encoder(last)
    core = _Pair(*_of_core(scorer, last, manifest), predicts_by_argmax(last), tolerance, found)
    if isinstance(rows, pa.Table):
        whole = _Pair(*_of_tables(scorer, estimator, manifest), predicts_by_argmax(last), tolerance, found)
        for table in (rows, *odd_tables(manifest.signature, rows)):
            whole.compare(table)
        matrix = scorer.reader.matrix(rows)
    else:
        matrix = rows
        core.compare(rows)
    for made in _matrices(last, matrix, categories, generator):
        core.compare(made)
    return found


def without_own_encoder(last: Any) -> tuple[Any, int]:
    """The last step as its core sees it, and how many of the columns it is given are codes of categories.

    Histogram gradient boosting encodes categories itself and puts them first; readers have done so already.
    """
    if getattr(last, "_preprocessor", None) is None:
        return last, 0
    bare = copy(last)
    bare._preprocessor = None
    return bare, int(np.sum(last.is_categorical_))


def _matrices(
    last: Any, matrix: np.ndarray, categories: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    yield from odd_matrices(matrix, categories)
    for values in (near, missing, infinite):
        made = split_rows(last, matrix, values, generator)
        if made is not None:
            some = made[::OTHER_FORMS]
            with np.errstate(over="ignore"):
                yield from (made, np.asfortranarray(some), some.astype(np.float32))


def _is_exact(last: Any) -> bool:
    return type(last).__module__.startswith(_EXACT)


def _of_tables(scorer: Scorer, estimator: Any, manifest: Manifest) -> tuple[Any, Any, Any, Any]:
    def data(rows: Rows) -> Any:
        return estimator_input(rows, manifest.signature)

    def one(rows: Rows, at: int) -> np.ndarray:
        return scorer.answer_one(_cells(rows, manifest, at))

    numbers = _numbers(estimator, manifest)
    return (
        lambda rows: numbers(data(rows)),
        _labels(estimator, manifest, data),
        scorer.answer,
        one,
    )


def _of_core(scorer: Scorer, last: Any, manifest: Manifest) -> tuple[Any, Any, Any, Any]:
    def one(rows: Rows, at: int) -> np.ndarray:
        return scorer.core.answer_one(rows[at].astype(np.float64))

    return _numbers(last, manifest), _labels(last, manifest, lambda rows: rows), scorer.core.answer, one


def _numbers(estimator: Any, manifest: Manifest) -> Callable[[Any], np.ndarray]:
    """What the estimator answers, in the form of a core's answers."""

    def numbers(data: Any) -> np.ndarray:
        if manifest.has_probabilities:
            probabilities = estimator.predict_proba(data)
            return checked_probabilities(probabilities, len(data), manifest.targets)[0]
        predicted = checked_predictions(estimator.predict(data), len(data), manifest.targets)[0]
        return np.asarray(predicted, np.float64)[:, None]

    return numbers


def _labels(
    estimator: Any, manifest: Manifest, data: Callable[[Rows], Any]
) -> Callable[[Rows], np.ndarray] | None:
    if not manifest.has_probabilities:
        return None
    return lambda rows: predicted_positions(estimator, data(rows), manifest)


def _cells(rows: pa.Table, manifest: Manifest, at: int) -> list[Cell]:
    """One row's values as JSON gives them: whole numbers now and then without a point."""
    row = rows.slice(at, 1).to_pylist()[0]
    values = [row[name] for name in manifest.signature.names]
    if at % 2 == 0:
        return values
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]


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


def _sure(answer: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray | None:
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
