"""What an estimator does, found out by running it: the form of input it takes, and how long a row takes.

Everything here runs the estimator's own ``predict`` and ``predict_proba``; nothing is assumed from its type
except where a sample cannot tell (whether 32-bit input is the same to it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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
# BLAS changes the last bits with the memory layout of its input.
TOLERANCE = 1e-12
TIMED_ROWS = (1_000, 16_000, 128_000)
TIMED_CELLS = 4_000_000  # 32 MB of numbers
# About as long as a chunk takes: on less, what an estimator spends per call would count as cost of rows.
ENOUGH_SECONDS = 0.25
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
            raise not_fitted_refusal() from not_fitted
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


def not_fitted_refusal() -> ArtefactRefused:
    """What an estimator that was saved before ``fit`` is refused with."""
    return ArtefactRefused(
        "not_fitted", "The model is not fitted: call fit before joblib.dump, and add it again."
    )


def fastest_equal(estimator: Any, signature: Signature, table: pa.Table) -> Signature:
    """The signature with a plain matrix as input if the estimator answers the same on it, row for row."""
    if any(spec.dtype in ("string", "category") for spec in signature.columns):
        return signature
    tables = [table, altered(table, dict.fromkeys(signature.names))]
    forms = [signature.model_copy(update={"input": "matrix"})]
    if takes_float32(estimator):
        forms.insert(0, forms[0].model_copy(update={"dtype": "float32"}))
    for form in forms:
        if all(_same(estimator, signature, form, each) for each in tables):
            return form
    return signature


def _same(estimator: Any, first: Signature, second: Signature, table: pa.Table) -> bool:
    one, other = (attempt(estimator, form, table) for form in (first, second))
    if one is None or other is None:
        return one is other
    return all(_equal(a, b) for a, b in zip(one, other, strict=True))


def attempt(estimator: Any, signature: Signature, table: pa.Table) -> Answer | None:
    """What the estimator answers, or None if it refuses the table."""
    try:
        return run(estimator, estimator_input(table, signature))
    except Exception:  # noqa: BLE001  # a refusal is an answer here, whatever its type
        return None


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _with_dtype(signature: Signature, old: str, new: str) -> Signature:
    columns = tuple(
        spec.model_copy(update={"dtype": new}) if spec.dtype == old else spec for spec in signature.columns
    )
    return signature.model_copy(update={"columns": columns})


def altered(table: pa.Table, values: Mapping[str, Label | None]) -> pa.Table:
    """The table with other values in its first row."""
    columns = [
        pa.chunked_array([pa.array([values[name]], column.type), *column.slice(1).chunks], column.type)
        if name in values
        else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def repeated(table: pa.Table, rows: int) -> pa.Table:
    """The table's rows, ``rows`` of them: all in their order, then again and again in no order.

    In the same order a processor would soon know by heart which way each row goes down a tree, and be
    three times as fast as with the rows of a job.
    """
    again = np.random.default_rng(0).integers(table.num_rows, size=max(0, rows - table.num_rows))
    return table.take(pa.array(np.concatenate([np.arange(min(rows, table.num_rows)), again])))


def row_cost(width: int, rows: Callable[[int], Any], score: Callable[[Any], object]) -> float:
    """Seconds per row of ``score(rows(count))``, for the first count that takes long enough to time.

    ``width`` is the number of columns or pixels: batches of wide rows are kept shorter.
    """
    cost = 0.0
    for count in (max(min(count, TIMED_CELLS // width), PROBE_ROWS) for count in TIMED_ROWS):
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
