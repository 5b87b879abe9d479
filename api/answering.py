"""From rows that a request holds to what the model answers: the one door of every prediction on the spot.

What a request looks like, and what its answer looks like, is up to the routes of each protocol.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from flask import Response, after_this_request

from api.context import caller, result_cache, workshop
from api.metering import note_cache
from api.result_cache import ResultCache
from jobs.errors import Problem
from models.errors import ArtefactRefused
from models.loading import LoadedModel
from models.manifest import Manifest, label_text
from models.payload import Rows
from models.row_keys import row_key
from models.single import model_input

# Beyond so many rows the estimator's own way over all of them at once is the shorter one.
MAX_PLAIN_ROWS = 10
# Says what scored: the kind of a compiled scorer, or sklearn.
SCORER = "X-Scorer"


class Answered(NamedTuple):
    """One answer for each row; a warning, with its place, for each value that training had nothing like."""

    answers: list[dict[str, Any]]
    warnings: list[dict[str, str]]


def answer(manifest: Manifest, sent: Rows) -> Answered:
    """The rows sent, answered in the shape of ``POST /predict``; raises what ``score`` raises."""
    if plain := _plain_answers(manifest, sent):
        return Answered(plain, [])
    cache = result_cache()
    if not cache.is_on or len(sent.rows) != 1:
        return _thorough_answers(manifest, sent)
    return _kept_or_thorough_answer(manifest, sent, cache)


def _thorough_answers(manifest: Manifest, sent: Rows) -> Answered:
    scored, warnings = _checked_and_scored(manifest, sent)
    return Answered(answers(manifest, scored), warnings)


def _kept_or_thorough_answer(manifest: Manifest, sent: Rows, cache: ResultCache) -> Answered:
    """Of a single row. What has warnings is not kept, for they name places in the request."""
    # callers do not learn from each other's hits what the others ask
    key = row_key(manifest, sent.rows[0], caller().owner)
    known = None if key is None else cache.get(key)
    _mark(hit=known is not None)
    if known is not None:
        return Answered([known], [])
    answered = _thorough_answers(manifest, sent)
    if key is not None and not answered.warnings:
        cache.put(key, answered.answers[0])
    return answered


def _mark(*, hit: bool) -> None:
    note_cache(hit)

    @after_this_request
    def say(response: Response) -> Response:
        response.headers["X-Cache"] = "hit" if hit else "miss"
        return response


def _plain_answers(manifest: Manifest, sent: Rows) -> list[dict[str, Any]] | None:
    """Answers for few rows without anything unusual about them; None for any others."""
    if len(sent.rows) > MAX_PLAIN_ROWS:
        return None
    model = workshop().models.get(manifest.name, manifest.version)
    found = []
    for row in sent.rows:
        if (one := plain_answer(model, row)) is None:
            return None
        found.append(one)
    _say_scorer(model.plain_rows.scorer_name)
    return found


def plain_answer(model: LoadedModel, row: Any) -> dict[str, Any] | None:
    """The answer to a row without anything unusual about it, by a model that has a kernel; else None."""
    plain = model.plain_rows
    if (answered := plain.answer(row)) is None:
        return None
    label, probabilities = answered
    if not probabilities:
        return {"prediction": label}
    return {
        "prediction": label,
        "confidence": max(probabilities),
        "probabilities": dict(zip(plain.class_names, probabilities, strict=True)),
    }


def score(manifest: Manifest, sent: Rows) -> pa.Table:
    """One row for each row sent, under ``output_schema`` with confidence where there are probabilities.

    Raises PayloadRefused for rows that do not fit the model, ``Problem`` (``model_refused``) for one that the
    estimator does not take.
    """
    return _checked_and_scored(manifest, sent)[0]


def _checked_and_scored(manifest: Manifest, sent: Rows) -> tuple[pa.Table, list[dict[str, str]]]:
    data, warnings = model_input(manifest, sent)
    return _score(workshop().models.get(manifest.name, manifest.version), data, sent), warnings


def _score(model: LoadedModel, data: pa.Table | np.ndarray[Any, Any], sent: Rows) -> pa.Table:
    try:
        scored = model.scored(data, confidence=model.manifest.has_probabilities)
    except (ArtefactRefused, MemoryError, OSError):
        raise  # the artefact's or the machine's fault
    except Exception as error:  # an estimator may raise anything at a row that it does not like
        row, reason = _first_refused(model, data, error)
        text = " ".join(str(reason).split())[:500] or type(reason).__name__
        where = "" if sent.single else f" row {row}"
        errors = [{"pointer": sent.place(row, None), "code": "model_refused", "detail": text}]
        raise Problem(
            "model_refused", f"{model.manifest.reference} refused{where}: {text}", errors
        ) from error
    _say_scorer(scored.scorer)
    return scored.table


def _say_scorer(name: str) -> None:
    @after_this_request
    def say(response: Response) -> Response:
        response.headers[SCORER] = name
        return response


def _first_refused(
    model: LoadedModel, data: pa.Table | np.ndarray[Any, Any], reason: Exception
) -> tuple[int, Exception]:
    """The first row that the estimator does not take, and why; by halving, so in a few calls."""
    low, high = 0, len(data)  # rows before `low` are taken, those before `high` are not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            model.score(data[low:middle])
        except Exception as error:  # noqa: BLE001 - looked for, and told by the caller
            high, reason = middle, error
        else:
            low = middle
    return low, reason


def answers(manifest: Manifest, scored: pa.Table) -> list[dict[str, Any]]:
    """One answer per row of ``scored``, whose columns are in the order of the result's schema."""
    targets = manifest.targets
    columns = iter([[_plain(value) for value in column.to_pylist()] for column in scored.columns])
    parts = {"prediction": [next(columns) for _ in targets]}
    if manifest.has_probabilities:
        by_class = [_by_class([label_text(c) for c in t.classes or ()], columns) for t in targets]
        parts["confidence"] = [next(columns) for _ in targets]
        parts["probabilities"] = by_class
    names = [target.name for target in targets]
    return [
        {
            part: _one_or_named(names, [values[row] for values in by_target])
            for part, by_target in parts.items()
        }
        for row in range(len(scored))
    ]


def _by_class(classes: Sequence[str], columns: Any) -> list[dict[str, Any]]:
    values = [next(columns) for _ in classes]
    return [dict(zip(classes, row, strict=True)) for row in zip(*values, strict=True)]


def _one_or_named(names: Sequence[str | None], values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else dict(zip(names, values, strict=True))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity; an estimator may still answer them."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
