"""Which columns a fitted estimator encodes as categories, read from the encoders inside it.

An encoder's ``categories_`` tells more than any sample: the complete list, and that a column of digits was
trained as text. Parts that this walk does not know are skipped; then the sample and the probes decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from models.estimators import json_label
from models.manifest import Kind, Label


class Encoded(NamedTuple):
    """What an encoder or imputer shows of one column."""

    kind: Kind
    integral: bool
    categories: tuple[Label, ...] | None
    missing: str  # "none" if the training data marked missing values with None, else "nan"
    as_category: bool  # trained on pandas' category type


def encoded_columns(estimator: Any, names: Sequence[str]) -> dict[str, Encoded]:
    """What the parts that see the raw columns know of them, by column name."""
    found: dict[str, Encoded] = {}
    _walk(estimator, list(names), found)
    return found


def used_columns(estimator: Any, names: Sequence[str]) -> list[str]:
    """``names`` without those that a ColumnTransformer at the very start drops: nobody need send them."""
    first = first_part(estimator)
    if not hasattr(first, "transformers_"):
        return list(names)
    used: set[str] = set()
    for _, transformer, selected in first.transformers_:
        if not (isinstance(transformer, str) and transformer == "drop"):
            used.update(_selected(selected, list(names)))
    return [name for name in names if name in used]


def first_part(estimator: Any) -> Any:
    """The step that sees the raw input."""
    if hasattr(estimator, "best_estimator_"):
        return first_part(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        steps = [step for _, step in estimator.steps if step is not None and not isinstance(step, str)]
        return first_part(steps[0]) if steps else estimator
    return estimator


def _walk(part: Any, names: list[str], found: dict[str, Encoded]) -> None:
    if hasattr(part, "best_estimator_"):
        _walk(part.best_estimator_, names, found)
    elif hasattr(part, "steps"):
        _walk_steps([step for _, step in part.steps], names, found)
    elif hasattr(part, "transformers_"):
        for _, transformer, selected in part.transformers_:
            if not isinstance(transformer, str):
                _walk(transformer, _selected(selected, names), found)
    elif hasattr(part, "transformer_list"):
        for _, transformer in part.transformer_list:
            _walk(transformer, names, found)
    elif hasattr(part, "is_categorical_"):
        _boosting(part, names, found)
    else:
        _leaf(part, names, found)


def _walk_steps(steps: list[Any], names: list[str], found: dict[str, Encoded]) -> None:
    """Go on to the next step only while the columns are still the raw ones."""
    for step in steps:
        if step is None or isinstance(step, str):
            continue
        _walk(step, names, found)
        if not _is_plain_imputer(step, names):
            return


def _is_plain_imputer(step: Any, names: list[str]) -> bool:
    return len(getattr(step, "statistics_", ())) == len(names) and not getattr(step, "add_indicator", False)


def _leaf(part: Any, names: list[str], found: dict[str, Encoded]) -> None:
    categories = getattr(part, "categories_", None)
    if isinstance(categories, list) and len(categories) == len(names):
        for name, values in zip(names, categories, strict=True):
            found[name] = _merged(found.get(name), _from_categories(np.asarray(values)))
    elif _is_plain_imputer(part, names):
        missing = "none" if getattr(part, "missing_values", np.nan) is None else "nan"
        for name, value in zip(names, part.statistics_, strict=True):
            if isinstance(value, str):
                found[name] = Encoded("string", False, None, missing, False)


def _merged(first: Encoded | None, second: Encoded) -> Encoded:
    """An imputer before the encoder decides how missing values are written; the encoder knows the rest."""
    return second if first is None else second._replace(missing=first.missing)


def _from_categories(values: np.ndarray, as_category: bool = False) -> Encoded:
    present = [value for value in values.tolist() if not pd.isna(value)]
    missing = "none" if any(value is None for value in values.tolist()) else "nan"
    kind: Kind = "number"
    if present and all(isinstance(value, bool) for value in present):
        kind = "boolean"
    elif any(isinstance(value, str) for value in present):
        kind = "string"
    integral = values.dtype.kind in "iu"
    return Encoded(kind, integral, tuple(json_label(value) for value in present), missing, as_category)


def _boosting(part: Any, names: list[str], found: dict[str, Encoded]) -> None:
    """Histogram gradient boosting encodes its categories itself, with an encoder that it keeps private."""
    preprocessor = getattr(part, "_preprocessor", None)
    encoder = getattr(preprocessor, "named_transformers_", {}).get("encoder")
    if part.is_categorical_ is None or encoder is None:
        return
    chosen = [name for name, is_one in zip(names, part.is_categorical_, strict=True) if is_one]
    as_category = isinstance(part.categorical_features, str) and part.categorical_features == "from_dtype"
    for name, values in zip(chosen, encoder.categories_, strict=True):
        found[name] = _from_categories(np.asarray(values), as_category)


def _selected(selected: Any, names: list[str]) -> list[str]:
    """The names that a ColumnTransformer's fitted column selection stands for."""
    if isinstance(selected, str):
        return [selected]
    if isinstance(selected, slice):
        if isinstance(selected.start, str) or isinstance(selected.stop, str):
            start = names.index(selected.start) if selected.start is not None else 0
            stop = names.index(selected.stop) + 1 if selected.stop is not None else len(names)
            return names[start:stop]
        return names[selected]
    values = np.atleast_1d(np.asarray(selected))
    if values.dtype == bool:
        return [name for name, is_one in zip(names, values, strict=True) if is_one]
    return [str(value) if isinstance(value, str) else names[int(value)] for value in values.tolist()]
