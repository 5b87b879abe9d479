"""What each column may hold, found out by running the estimator on rows with one odd value.

A sample cannot tell: that it has no gaps does not mean that a gap is refused, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from models.estimators import is_known, parts
from models.manifest import ColumnSpec, Label, Signature
from models.probing import PROBE_ROWS, altered, attempt

UNSEEN_TEXT = "rowmill-unseen-category"
UNSEEN_NUMBER = 987_654_321.0


def with_acceptance(estimator: Any, signature: Signature, table: pa.Table) -> Signature:
    """The signature with what each column may hold: nulls, infinities, categories never seen."""
    prober = _Prober(estimator, signature, table)
    null = prober.accepting(signature.columns, lambda _: None)
    signature = _with_other_missing(estimator, signature, table, null)
    prober = _Prober(estimator, signature, table)
    numbers = [spec for spec in signature.columns if spec.kind == "number"]
    infinite = prober.accepting(numbers, lambda _: float("inf"))
    infinite &= prober.accepting(numbers, lambda _: float("-inf"))
    coded = [spec for spec in signature.columns if _is_coded(spec)]
    unseen = prober.accepting(coded, _unseen)
    refused_infinite = {spec.name for spec in numbers} - infinite
    refused_unseen = {spec.name for spec in coded} - unseen
    columns = tuple(
        spec.model_copy(
            update={
                "accepts_null": spec.name in null,
                "accepts_infinite": spec.name not in refused_infinite,
                "accepts_unseen": spec.name not in refused_unseen,
            }
        )
        for spec in signature.columns
    )
    return signature.model_copy(update={"columns": columns})


def _is_coded(spec: ColumnSpec) -> bool:
    return spec.kind == "string" or (spec.kind == "number" and spec.categories is not None)


def _unseen(spec: ColumnSpec) -> Label:
    return UNSEEN_TEXT if spec.kind == "string" else UNSEEN_NUMBER


def _with_other_missing(
    estimator: Any, signature: Signature, table: pa.Table, accepted: set[str]
) -> Signature:
    """Write missing words as None instead of NaN (or the reverse) where only that is accepted.

    The names of the columns that gain by it are added to ``accepted``.
    """
    columns = tuple(
        spec.model_copy(update={"missing": "none" if spec.missing == "nan" else "nan"})
        if spec.kind == "string" and spec.name not in accepted
        else spec
        for spec in signature.columns
    )
    turned = [new for new, old in zip(columns, signature.columns, strict=True) if new is not old]
    prober = _Prober(estimator, signature.model_copy(update={"columns": columns}), table)
    accepted |= prober.accepting(turned, lambda _: None)
    kept = tuple(
        new if new.name in accepted else old for new, old in zip(columns, signature.columns, strict=True)
    )
    return signature.model_copy(update={"columns": kept})


class _Prober:
    """Asks one estimator about values in columns."""

    def __init__(self, estimator: Any, signature: Signature, table: pa.Table) -> None:
        self._estimator = estimator
        self._signature = signature
        self._rows = table.slice(0, PROBE_ROWS)
        self._uniform = not any(_tells_columns_apart(part) for part in parts(estimator))

    def accepting(
        self, columns: Sequence[ColumnSpec], value: Callable[[ColumnSpec], Label | None]
    ) -> set[str]:
        """Names of the columns in which the estimator takes ``value``: asked of all, then by halves."""
        if not columns or self._takes(columns, value):
            return {spec.name for spec in columns}
        if len(columns) == 1 or (self._uniform and not self._takes(columns[:1], value)):
            return set()
        half = len(columns) // 2
        return self.accepting(columns[:half], value) | self.accepting(columns[half:], value)

    def _takes(self, columns: Sequence[ColumnSpec], value: Callable[[ColumnSpec], Label | None]) -> bool:
        rows = altered(self._rows, {spec.name: value(spec) for spec in columns})
        return attempt(self._estimator, self._signature, rows) is not None


def _tells_columns_apart(part: Any) -> bool:
    """A ColumnTransformer, an encoder, a user's function or class; all else checks its input as a whole."""
    return any(hasattr(part, name) for name in ("transformers_", "categories_", "func")) or not is_known(part)
