"""Compiled scorers against their estimators in process, one thread: `python -m benchmarks scorers`.

Each supported kind of estimator is fitted, added as `models add` would, and timed on one row and on many, by
turns. The shortest times count, and only the processor's: other programs may want it too. The estimator has
its input ready in memory, as an array or as a DataFrame. The scorer begins with the same array, or where
there is a pipeline with Arrow's columns, as in a job.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.scorer_zoo import ZOO, Case
from models.adding import NewVersion, prepare
from models.inputs import estimator_input
from models.loading import load
from models.probing import repeated
from models.scorers.matrix import Matrix

# Of single rows: a round is over in two milliseconds, and any one of them may be disturbed.
SINGLE_CALLS = 20
SINGLE_ROUNDS = 100
DOCUMENT = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN, END = "<!-- scorers: begin, by python -m benchmarks scorers -->", "<!-- scorers: end -->"
HEAD = "| estimator | scorer | equality | one row | {rows:,} rows |\n|---|---|---|---|---|"


def measure(rows: int, rounds: int, *, write: bool) -> list[dict[str, Any]]:
    """Print the table, and put it into the documentation if it is to be kept."""
    found = []
    head = HEAD.format(rows=rows)
    print(head, flush=True)
    # to tell each time that an array has no column names would take the estimators a tenth of a row's time
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        for case in ZOO:
            found.append(_measured(case, rows, rounds))
            print(_line(found[-1]), flush=True)
    if write:
        table = "\n".join([head, *map(_line, found)])
        text = DOCUMENT.read_text(encoding="utf-8")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return found


def _measured(case: Case, rows: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        joblib.dump(case.estimator, folder / "model.joblib")
        case.sample.to_parquet(folder / "sample.parquet")
        (folder / "store").mkdir()
        new = NewVersion(name="m", file=folder / "model.joblib", sample=folder / "sample.parquet")
        manifest = prepare(new, folder / "store")
        record = manifest.scorer
        assert record is not None
        found: dict[str, Any] = {"title": case.title, "kind": record.kind, "reason": record.reason}
        if record.kind is None:
            return found
        scorer = load(manifest, folder / "store").scorer
        assert scorer is not None
        found |= {"difference": record.largest_difference, "compared": record.rows_compared}
        found["splits"] = record.splits_compared
        table = repeated(_table(case.sample, manifest.signature.names), rows)
        data = estimator_input(table, manifest.signature)
        given = data if isinstance(scorer.reader, Matrix) else table
        answer = scorer.core.answer if isinstance(scorer.reader, Matrix) else scorer.answer
        predict = case.estimator.predict_proba if manifest.has_probabilities else case.estimator.predict
        one = data[:1] if isinstance(data, np.ndarray) else data.iloc[:1]
        values = list(table.slice(0, 1).to_pylist()[0].values())
        found["one_row"] = _ratio(
            lambda: predict(one), lambda: scorer.answer_one(values), SINGLE_ROUNDS, SINGLE_CALLS
        )
        found["batch"] = _ratio(lambda: predict(data), lambda: answer(given), rounds, 1)
        return found


def _table(sample: pd.DataFrame, names: tuple[str, ...]) -> pa.Table:
    table = pa.Table.from_pandas(sample[list(names)], preserve_index=False)
    kinds = [pa.float64() if pa.types.is_integer(field.type) else field.type for field in table.schema]
    kinds = [pa.string() if pa.types.is_large_string(kind) else kind for kind in kinds]
    return table.cast(pa.schema([(name, kind) for name, kind in zip(names, kinds, strict=True)]))


def _ratio(one: Callable[[], Any], other: Callable[[], Any], rounds: int, calls: int) -> float:
    times = [(_seconds(one, calls), _seconds(other, calls)) for _ in range(rounds)]
    return min(first for first, _ in times) / min(second for _, second in times)


def _seconds(call: Callable[[], Any], calls: int) -> float:
    started = time.thread_time()
    for _ in range(calls):
        call()
    return time.thread_time() - started


def _line(found: dict[str, Any]) -> str:
    if found["kind"] is None:
        return f"| {found['title']} | sklearn: {found['reason']} | | | |"
    difference = found["difference"]
    equality = "bit-equal" if difference == 0 else f"within {difference:.1g}"
    speed = f"{found['one_row']:.0f}x | {found['batch']:.2f}x"
    splits = f", {found['splits']:,} splits" if found["splits"] else ""
    where = f"{found['compared']:,} rows{splits}"
    return f"| {found['title']} | {found['kind']} | {equality} on {where} | {speed} |"
