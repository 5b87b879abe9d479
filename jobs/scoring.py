"""Scoring one chunk's rows: predict, and put each answer back on its row. No files, clock or database here.

Row i of what comes out is row i of what went in. A row that the checks or the estimator refuse has nulls and
a code in the column ``error``, and one or more ``RowProblem`` with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from base.formats import RowProblem
from models.errors import ArtefactRefused

# Calls of the estimator spent on finding the rows that it refuses in one chunk; each bad row costs about
# 2 * log2(rows) of them.
MAX_BISECT_CALLS = 2000
ERROR_FIELD = pa.field("error", pa.string())


# A call of the estimator cannot be stopped, so none is meant to last longer than this.
CALL_SECONDS = 1.0


@dataclass(frozen=True)
class Scorer:
    """A loaded model as scoring sees it: ``predict`` gives one row of ``schema`` for each row it is given.

    No call gets more than ``call_rows`` rows. That number may depend on the version and on what the chunk
    holds only: linear algebra changes its last bits with the number of rows, and a job must give the same
    bytes wherever it runs.
    """

    schema: pa.Schema
    predict: Callable[[Any], pa.Table]
    call_rows: int


def call_rows(row_cost_seconds: float) -> int:
    """Rows that one call of the estimator may take, so that a cancelled job stops soon."""
    return max(1, int(CALL_SECONDS / row_cost_seconds))


@dataclass(frozen=True)
class Scored:
    """Output columns and ``error`` for all rows of a chunk, and why bad rows are bad, in row order.

    ``unusual`` counts values by ``code:column`` that training had nothing like, in rows that were scored.
    """

    table: pa.Table
    problems: list[RowProblem]
    unusual: dict[str, int] = field(default_factory=dict)

    @property
    def rows_failed(self) -> int:
        """Rows without an answer."""
        return len(self.table) - int(self.table.column("error").null_count)

    def error_counts(self) -> dict[str, int]:
        """Problems by ``code`` or ``code:column``."""
        return dict(Counter(f"{p.code}:{p.column}" if p.column else p.code for p in self.problems))


class RowsRefused(Exception):
    """What a scorer raises that does not even try, with the ``code`` that all its rows get."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def score_rows(
    scorer: Scorer, rows: Any, count: int, problems: list[RowProblem], alive: Callable[[], None]
) -> Scored:
    """Predict every row that has no problem yet.

    ``rows`` is a table (or an array of images) of ``count`` rows; those named in ``problems`` are left out.
    ``alive`` is called between calls of the estimator, and may raise to stop.
    """
    bad = np.zeros(count, dtype=bool)
    bad[[problem.row for problem in problems]] = True
    good = np.flatnonzero(~bad)
    pieces: list[tuple[np.ndarray[Any, Any], pa.Table]] = []
    refused: list[RowProblem] = []
    for part, outcome in _predict(scorer, rows, good, count, alive):
        if isinstance(outcome, pa.Table):
            pieces.append((part, outcome))
        else:
            refused += [_refusal(int(row), outcome, len(part)) for row in part]
    problems = sorted([*problems, *refused], key=lambda problem: problem.row)
    table = _spread(scorer.schema, pieces, count).append_column(ERROR_FIELD, _codes(problems, count))
    return Scored(table, problems)


def _predict(
    scorer: Scorer, rows: Any, good: np.ndarray[Any, Any], count: int, alive: Callable[[], None]
) -> Iterator[tuple[np.ndarray[Any, Any], pa.Table | Exception]]:
    """Answers or refusals for runs of rows, in order; a run that is refused is halved down to one row."""
    todo = _runs(good, scorer.call_rows)
    calls = -len(todo)  # those that must be made do not count as searching
    while todo:
        part = todo.pop()
        alive()
        calls += 1
        try:
            answer: pa.Table | Exception = scorer.predict(rows if len(part) == count else _take(rows, part))
        except (ArtefactRefused, MemoryError, OSError):
            raise  # the file's or the machine's fault, not the row's
        except Exception as error:  # noqa: BLE001 - an estimator may raise anything at a row it does not like
            answer = error
        certain = isinstance(answer, pa.Table | RowsRefused)
        if not certain and len(part) > 1 and calls < MAX_BISECT_CALLS:
            middle = len(part) // 2
            todo += [part[middle:], part[:middle]]
        else:
            yield part, answer


def _runs(good: np.ndarray[Any, Any], call_rows: int) -> list[np.ndarray[Any, Any]]:
    """Runs of nearly the same length, the first one last."""
    count = -(-len(good) // call_rows)
    return np.array_split(good, count)[::-1] if count else []


def _take(rows: Any, part: np.ndarray[Any, Any]) -> Any:
    return rows.take(pa.array(part)) if isinstance(rows, pa.Table) else rows[part]


def _refusal(row: int, error: Exception, run: int) -> RowProblem:
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, RowsRefused):
        return RowProblem(row=row, line=None, column=None, value=None, code=error.code, message=text)
    if run > 1:
        text = f"one of {run} rows that were refused together and could not be told apart: {text}"
    return RowProblem(row=row, line=None, column=None, value=None, code="model_refused", message=text)


def _spread(schema: pa.Schema, pieces: list[tuple[np.ndarray[Any, Any], pa.Table]], count: int) -> pa.Table:
    """Answers at their rows, nulls elsewhere."""
    answers = pa.concat_tables([table for _, table in pieces]) if pieces else schema.empty_table()
    if len(answers) == count:
        return answers
    where = np.full(count, -1, dtype=np.int64)
    if pieces:
        where[np.concatenate([part for part, _ in pieces])] = np.arange(len(answers))
    return answers.take(pa.array(where, mask=where < 0))


def _codes(problems: list[RowProblem], count: int) -> pa.Array:
    if not problems:
        return pa.nulls(count, pa.string())
    codes: list[str | None] = [None] * count
    for problem in reversed(problems):  # the first problem of a row names it
        codes[problem.row] = problem.code
    return pa.array(codes, pa.string())
