"""What an estimator does, found out by running it on altered rows: the input it takes, and what it refuses.

Everything here runs the estimator's own ``predict`` and ``predict_proba``; nothing is assumed from its type
except where a sample cannot tell (whether 32-bit input is the same to it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.exceptions import NotFittedError

from models.errors import ArtefactRefused, SignatureRefused
from models.estimators import takes_float32
from models.inputs import estimator_input
from models.manifest import ARROW_KINDS, ColumnSpec, Label, Signature

PROBE_ROWS = 4
VERIFIED_ROWS = 2000
# Beyond so many columns all of a kind are probed together: one answer for all instead of hours.
MAX_COLUMNS_PROBED = 2000
UNSEEN_TEXT = "rowmill-unseen-category"
UNSEEN_NUMBER = 987_654_321.0
# BLAS changes the last bits with the memory layout of its input.
TOLERANCE = 1e-12
TIMED_ROWS = (1_000, 16_000, 128_000)
ENOUGH_SECONDS = 0.05
LONG_SECONDS = 0.5

Answer = list[np.ndarray]


def run(estimator: Any, data: Any) -> Answer:
    """Everything that the estimator answers about ``data``, flat; raises what it raises."""
    answer = [np.asarray(estimator.predict(data))]
    if hasattr(estimator, "predict_proba"):
        probabilities = estimator.predict_proba(data)
        answer += [
            np.asarray(each)
            for each in (probabilities if isinstance(probabilities, list) else [probabilities])
        ]
    if any(len(each) != len(data) for each in answer):
        raise ArtefactRefused(
            "unexpected_output", f"The model answered {len(data)} rows with {len(answer[0])}."
        )
    return answer


def synthetic_rows(columns: Sequence[ColumnSpec], rows: int) -> pa.Table:
    """Plausible rows for want of a sample: always the same, from known categories where there are some."""
    generator = np.random.default_rng(0)

    def values(spec: ColumnSpec) -> pa.Array:
        if spec.categories:
            chosen = generator.integers(0, len(spec.categories), rows)
            return pa.array([spec.categories[i] for i in chosen], ARROW_KINDS[spec.kind])
        if spec.kind == "number":
            return pa.array(generator.normal(size=rows))
        if spec.kind == "boolean":
            return pa.array(generator.integers(0, 2, rows).astype(bool))
        return pa.array(["a"] * rows)

    return pa.table([values(spec) for spec in columns], names=[spec.name for spec in columns])


def runnable(estimator: Any, draft: Signature, table: pa.Table) -> Signature:
    """The first form of the draft that the estimator accepts on real rows.

    Strings as strings, then as pandas' categories, which gradient boosting libraries are trained on. Raises
    SignatureRefused with the estimator's own words if none will do.
    """
    forms = [draft]
    if any(spec.dtype == "string" for spec in draft.columns):
        forms.append(_with_dtype(draft, "string", "category"))
    error: Exception | None = None
    for form in forms:
        try:
            run(estimator, estimator_input(table, form))
        except NotFittedError as not_fitted:
            raise ArtefactRefused(
                "not_fitted", "The model is not fitted: call fit before joblib.dump, and add it again."
            ) from not_fitted
        except ArtefactRefused:
            raise
        except Exception as failure:  # noqa: BLE001 - the estimator's own, raised again below
            error = error or failure
        else:
            return form
    raise SignatureRefused(
        "cannot_score_sample",
        f"The model failed on {table.num_rows} rows with the columns {', '.join(draft.names[:20])}: "
        f"{type(error).__name__}: {error}. Give --sample FILE with rows as they were in training.",
    ) from error


def fastest_equal(estimator: Any, signature: Signature, table: pa.Table) -> Signature:
    """The signature with a plain matrix as input if the estimator answers the same on it, row for row."""
    if any(spec.dtype in ("string", "category") for spec in signature.columns):
        return signature
    tables = [table, _altered(table, signature.names, None)]
    forms = [signature.model_copy(update={"input": "matrix"})]
    if takes_float32(estimator):
        forms.insert(0, forms[0].model_copy(update={"dtype": "float32"}))
    for form in forms:
        if all(_same(estimator, signature, form, each) for each in tables):
            return form
    return signature


def _same(estimator: Any, first: Signature, second: Signature, table: pa.Table) -> bool:
    one, other = (_attempt(estimator, form, table) for form in (first, second))
    if one is None or other is None:
        return one is other
    return all(_equal(a, b) for a, b in zip(one, other, strict=True))


def _attempt(estimator: Any, signature: Signature, table: pa.Table) -> Answer | None:
    try:
        return run(estimator, estimator_input(table, signature))
    except Exception:  # noqa: BLE001  # a refusal is an answer here, whatever its type
        return None


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def with_acceptance(estimator: Any, signature: Signature, table: pa.Table) -> Signature:
    """The signature with what each column may hold: nulls, infinities, categories never seen."""
    rows = table.slice(0, PROBE_ROWS)
    null = _accepting(estimator, signature, rows, signature.columns, lambda _: None)
    if len(null) < len(signature.columns):
        signature, null = _with_other_missing(estimator, signature, rows, null)
    numbers = [spec for spec in signature.columns if spec.kind == "number"]
    infinite = _accepting(estimator, signature, rows, numbers, lambda _: float("inf"))
    infinite &= _accepting(estimator, signature, rows, numbers, lambda _: float("-inf"))
    coded = [spec for spec in signature.columns if spec.kind == "string" or spec.categories]
    unseen = _accepting(estimator, signature, rows, coded, _unseen)
    refused_unseen = {spec.name for spec in coded} - unseen
    columns = tuple(
        spec.model_copy(
            update={
                "accepts_null": spec.name in null,
                "accepts_infinite": spec.kind != "number" or spec.name in infinite,
                "accepts_unseen": spec.name not in refused_unseen,
            }
        )
        for spec in signature.columns
    )
    return signature.model_copy(update={"columns": columns})


def _unseen(spec: ColumnSpec) -> Label | None:
    if spec.kind == "boolean":
        return None
    return UNSEEN_TEXT if spec.kind == "string" else UNSEEN_NUMBER


def _with_other_missing(
    estimator: Any, signature: Signature, rows: pa.Table, accepted: set[str]
) -> tuple[Signature, set[str]]:
    """Try None for NaN in the string columns that refused: objects may have been trained with either."""
    refused = {spec.name for spec in signature.columns if spec.kind == "string"} - accepted
    columns = tuple(
        spec.model_copy(update={"missing": "none" if spec.missing == "nan" else "nan"})
        if spec.name in refused
        else spec
        for spec in signature.columns
    )
    other = signature.model_copy(update={"columns": columns})
    candidates = [spec for spec in columns if spec.name in refused]
    gained = _accepting(estimator, other, rows, candidates, lambda _: None) if candidates else set()
    kept = tuple(
        new if new.name in gained else old for new, old in zip(columns, signature.columns, strict=True)
    )
    return signature.model_copy(update={"columns": kept}), accepted | gained


def _accepting(
    estimator: Any,
    signature: Signature,
    rows: pa.Table,
    columns: Sequence[ColumnSpec],
    value: Callable[[ColumnSpec], Label | None],
) -> set[str]:
    """Names of the columns in which the estimator takes ``value``; asked of all at once, then by halves."""
    if not columns:
        return set()
    altered = rows
    for spec in columns:
        altered = _altered(altered, [spec.name], value(spec))
    if _attempt(estimator, signature, altered) is not None:
        return {spec.name for spec in columns}
    if len(columns) == 1 or len(columns) > MAX_COLUMNS_PROBED:
        return set()
    half = len(columns) // 2
    return _accepting(estimator, signature, rows, columns[:half], value) | _accepting(
        estimator, signature, rows, columns[half:], value
    )


def _altered(table: pa.Table, names: Sequence[str], value: Label | None) -> pa.Table:
    """The table with ``value`` in the first row of the named columns."""
    for name in names:
        position = table.schema.get_field_index(name)
        column = table.column(position)
        first = pa.array([value], column.type)
        changed = pa.chunked_array([first, *column.slice(1).chunks], column.type)
        table = table.set_column(position, table.schema.field(position), changed)
    return table


def _with_dtype(signature: Signature, old: str, new: str) -> Signature:
    columns = tuple(
        spec.model_copy(update={"dtype": new}) if spec.dtype == old else spec for spec in signature.columns
    )
    return signature.model_copy(update={"columns": columns})


def repeated(table: pa.Table, rows: int) -> pa.Table:
    """The table's rows over and over, ``rows`` of them."""
    return table.take(pa.array(np.arange(rows) % table.num_rows))


def row_cost(rows: Callable[[int], Any], score: Callable[[Any], object]) -> float:
    """Seconds per row of ``score(rows(count))``, for the first count that takes long enough to time."""
    cost = 0.0
    for count in TIMED_ROWS:
        batch = rows(count)
        taken = _seconds(score, batch)
        if taken < LONG_SECONDS:
            # the first call of a size also pays for fresh memory, up to ten times the work itself
            taken = min(taken, _seconds(score, batch))
        cost = taken / count
        if taken >= ENOUGH_SECONDS:
            break
    return cost


def _seconds(score: Callable[[Any], object], batch: Any) -> float:
    started = time.perf_counter()
    score(batch)
    return time.perf_counter() - started
