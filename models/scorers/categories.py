"""Compiles encoders of categories: what becomes of each one is asked of the fitted encoder itself.

So rare categories that were put together, dropped ones and those that were never seen need no rules here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, count, pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from models.rules import INEXACT_INTEGER
from models.scorers.encoding import Lookup, OneHot, Ordinal
from models.scorers.part import NotCompiled
from models.scorers.sources import NUMBER, Source, Stage

# Rows of one question: the answer of a one-hot encoder is as wide as all its categories together.
ASKED_ROWS = 256


def compile_ordinal(encoder: Any, stage: Stage) -> tuple[Ordinal, Stage]:
    """A fitted OrdinalEncoder, or TargetEncoder with a column for each column. Raises NotCompiled."""
    _check(encoder, stage)
    results = np.concatenate([*_answers(encoder)])
    if results.shape[1] != len(stage.sources):
        raise NotCompiled(f"{type(encoder).__name__} makes several columns of one")
    lookup = _lookup(encoder, stage, results, _about_unknown(encoder))
    return Ordinal(lookup), Stage((NUMBER,) * len(stage.sources))


def compile_one_hot(encoder: Any, stage: Stage) -> tuple[OneHot, Stage]:
    """A fitted OneHotEncoder. Raises NotCompiled."""
    _check(encoder, stage)
    starts = [0, *accumulate(encoder._n_features_outs)]
    unknown = _about_unknown(encoder)
    lookup = _lookup(
        encoder,
        stage,
        np.concatenate([_places(answer, starts) for answer in _answers(encoder)]),
        None if unknown is None else _places(unknown, starts),
    )
    sources = (NUMBER,) * starts[-1]
    return OneHot(lookup, starts[-1]), Stage(sources, sparse=encoder.sparse_output)


def _check(encoder: Any, stage: Stage) -> None:
    name = type(encoder).__name__
    stage.check_width(encoder)
    if stage.sparse:
        raise NotCompiled(f"{name} on a sparse matrix")
    if (dtype := np.dtype(getattr(encoder, "dtype", np.float64))) != np.float64:
        raise NotCompiled(f"{name} with the type {dtype}")
    for source, categories in zip(stage.sources, encoder.categories_, strict=True):
        if source.vocabulary is None and categories.dtype.kind == "O" and not stage.objects:
            raise NotCompiled(f"{name} has objects as categories of the numbers in {source.name!r}")


def _answers(encoder: Any) -> Iterable[np.ndarray]:
    """What becomes of every category: row i is about the i-th of each column, or its last one."""
    longest = max(map(len, encoder.categories_))
    for start in range(0, longest, ASKED_ROWS):
        rows = range(start, min(start + ASKED_ROWS, longest))
        columns = [[known[min(row, len(known) - 1)] for row in rows] for known in encoder.categories_]
        yield _transformed(encoder, columns)


def _about_unknown(encoder: Any) -> np.ndarray | None:
    """What becomes of a value that is no category, in one row; None if the encoder refuses it."""
    try:
        return _transformed(encoder, [[_stranger(known)] for known in encoder.categories_])
    except ValueError:
        return None


def _stranger(known: np.ndarray) -> str | float:
    present = set(known.tolist())
    if any(isinstance(each, str) for each in present):
        return next(text for text in map("unknown {}".format, count()) if text not in present)
    return next(number for number in count(0.5) if number not in present)


def _transformed(encoder: Any, columns: Sequence[Sequence[Any]]) -> np.ndarray:
    table: Any = np.empty((len(columns[0]), len(columns)), dtype=object)
    for position, values in enumerate(columns):
        table[:, position] = values
    if hasattr(encoder, "feature_names_in_"):
        table = pd.DataFrame(table, columns=encoder.feature_names_in_, dtype=object)
    with warnings.catch_warnings(action="ignore"):  # unknown categories are told with one
        answer = encoder.transform(table)
    return np.asarray(answer.toarray() if sparse.issparse(answer) else answer, dtype=np.float64)


def _places(answer: np.ndarray, starts: Sequence[int]) -> np.ndarray:
    """(rows, columns): where in a row of 0 and 1 the 1 of each column stands, -1 for nowhere."""
    places = np.full((len(answer), len(starts) - 1), -1.0)
    for column, (start, end) in enumerate(pairwise(starts)):
        rows, found = np.nonzero(answer[:, start:end])
        places[rows, column] = start + found
    return places


@dataclass(frozen=True)
class _Known:
    """Of one column: keys with their results, ascending, and the result of a missing value if it has one."""

    pairs: list[tuple[float, float]]
    missing: float | None


def _lookup(encoder: Any, stage: Stage, results: np.ndarray, unknown: np.ndarray | None) -> Lookup:
    """``results`` are (category, column), ``unknown`` (1, column), None if the encoder refuses them."""
    known = [
        _known(source, categories.tolist(), results[: len(categories), column].tolist())
        for column, (source, categories) in enumerate(zip(stage.sources, encoder.categories_, strict=True))
    ]
    pairs = list(chain.from_iterable(each.pairs for each in known))
    others = [math.nan] * len(known) if unknown is None else unknown[0].tolist()
    return Lookup(
        starts=(0, *accumulate(len(each.pairs) for each in known)),
        keys=np.array([key for key, _ in pairs], dtype=np.float64),
        results=np.array([result for _, result in pairs], dtype=np.float64),
        missing=tuple(
            other if each.missing is None else each.missing for each, other in zip(known, others, strict=True)
        ),
        unknown=tuple(others),
        refuses_missing=tuple(each.missing is None and unknown is None for each in known),
        refuses_unknown=(unknown is None,) * len(known),
    )


def _known(source: Source, categories: list[Any], results: list[float]) -> _Known:
    pairs: dict[float, float] = {}
    missing = None
    for category, result in zip(categories, results, strict=True):
        if category is None or (isinstance(category, float) and math.isnan(category)):
            _check_missing(source, category)
            missing = result if _is_marker(source, category) else missing
            continue
        key = _key(source, category)
        if key in pairs:
            raise NotCompiled(f"two categories of {source.name!r} are the same number")
        pairs[key] = result
    return _Known(sorted(pairs.items()), missing)


def _is_marker(source: Source, category: float | None) -> bool:
    """This is how the estimator is given the missing values of the column."""
    return source.missing == ("none" if category is None else "nan")


def _check_missing(source: Source, category: float | None) -> None:
    if category is None and source.vocabulary is None:
        raise NotCompiled(f"None is a category of the numbers in {source.name!r}")


def _key(source: Source, category: Any) -> float:
    """The number that a category is in the matrix."""
    if source.vocabulary is not None:
        if type(category) is not str:
            raise NotCompiled(f"{category!r} is a category of the texts in {source.name!r}")
        return source.code(category)
    if type(category) not in (bool, int, float) or abs(category) >= INEXACT_INTEGER:
        raise NotCompiled(f"{category!r} is a category of the numbers in {source.name!r}")
    return float(category)
