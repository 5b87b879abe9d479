"""How much faster a compiled scorer is than its estimator, for one row and for many."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.inputs import estimator_input
from models.manifest import Manifest
from models.probing import TIMED_CELLS, repeated
from models.scorers.part import Unsure
from models.scorers.scorer import Scorer

# A batch is as long as the estimator takes about this time for.
BATCH_SECONDS = 0.04
BATCH_ROWS = (1_000, 100_000)
ROUNDS = 5
# So many more where the scorer looks slower: the machine may have been busy with something else.
SECOND_LOOK = 15
SINGLE_ROUNDS = 10
# Some systems count a thread's time in steps of ten milliseconds, and so nothing for most calls.
SHORTEST_SECONDS = 1e-9
_CALLS = 5  # of the scorer in each round of single rows: one call is hardly longer than a clock's step


class SpeedUp(NamedTuple):
    """Ratios of the shortest times; None where the scorer leaves such rows to the estimator."""

    one_row: float | None
    batch: float | None


def speed_up(scorer: Scorer, estimator: Any, manifest: Manifest, rows: pa.Table | np.ndarray) -> SpeedUp:
    """Against ``predict_proba`` or ``predict`` in this process.

    The estimator's single row is ready in memory; in all else both begin with Arrow's columns, as jobs do.
    """
    predict = estimator.predict_proba if manifest.has_probabilities else estimator.predict
    try:
        return SpeedUp(_one_row(scorer, predict, manifest, rows), _batch(scorer, predict, manifest, rows))
    except Unsure:
        return SpeedUp(None, None)


def _one_row(scorer: Scorer, predict: Any, manifest: Manifest, rows: pa.Table | np.ndarray) -> float | None:
    if not isinstance(rows, pa.Table):
        return None  # an image takes far longer to decode
    complete = rows.drop_null()
    first = (complete if complete.num_rows else rows).slice(0, 1)
    record = first.to_pylist()[0]
    values = [record[name] for name in manifest.signature.names]
    data = estimator_input(first, manifest.signature)

    def scored() -> None:
        for _ in range(_CALLS):
            scorer.answer_one(values)

    theirs, ours = _shortest(lambda: predict(data), scored, SINGLE_ROUNDS)
    return theirs / (ours / _CALLS)


def _batch(scorer: Scorer, predict: Any, manifest: Manifest, rows: pa.Table | np.ndarray) -> float:
    signature = manifest.signature

    def data(given: pa.Table | np.ndarray) -> Any:
        return estimator_input(given, signature) if isinstance(given, pa.Table) else given

    cost = min(_seconds(lambda: predict(data(rows))) for _ in range(2)) / len(rows)
    width = rows.num_columns if isinstance(rows, pa.Table) else rows[0].size
    low, high = BATCH_ROWS
    count = min(max(low, int(BATCH_SECONDS / cost)), high, max(1, TIMED_CELLS // width))
    if isinstance(rows, pa.Table):
        batch: pa.Table | np.ndarray = repeated(rows, count)
    else:
        batch = rows[np.arange(count) % len(rows)]
    theirs, ours = _shortest(lambda: predict(data(batch)), lambda: scorer.answer(batch), ROUNDS, SECOND_LOOK)
    return theirs / ours


def _shortest(
    one: Callable[[], Any], other: Callable[[], Any], rounds: int, second_look: int = 0
) -> tuple[float, float]:
    """Of each the shortest time, by turns: what else the machine does then hits both."""
    times = [(_seconds(one), _seconds(other)) for _ in range(rounds)]
    shortest = min(first for first, _ in times), min(second for _, second in times)
    if second_look and shortest[0] < shortest[1]:
        again = _shortest(one, other, second_look)
        return min(shortest[0], again[0]), min(shortest[1], again[1])
    return shortest


def _seconds(call: Callable[[], Any]) -> float:
    started = time.thread_time()  # all is done on this thread, and other programs may want the processor too
    call()
    return max(time.thread_time() - started, SHORTEST_SECONDS)
