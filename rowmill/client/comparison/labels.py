"""Labels of any type as one: what two models and a file call the same must be the same.

A model may answer 1 where another answers 1.0, and a CSV file says "1". If all classes are numbers, labels
are numbers; otherwise they are texts, booleans as in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowmill.client.comparison.answers import Label, Target, label_text

_WORDS_OF_BOOLEANS = {"true": "true", "false": "false", "1": "true", "0": "false"}


@dataclass(frozen=True)
class Alphabet:
    """How the labels of one target are made alike."""

    kind: pa.DataType
    shown: Mapping[str, str]
    has_booleans: bool

    @classmethod
    def of(cls, target: Target) -> Alphabet:
        """For the classes of both models."""
        classes = [*(target.first.classes or ()), *(target.second.classes or ())]
        numeric = all(isinstance(label, int | float) and not isinstance(label, bool) for label in classes)
        return cls(
            kind=pa.float64() if numeric else pa.string(),
            shown={**target.first.shown, **target.second.shown},
            has_booleans=any(isinstance(label, bool) for label in classes),
        )

    def classes(self, labels: Sequence[Label]) -> pa.Array:
        """The classes of one model."""
        if self.kind == pa.string():
            return pa.array([label_text(label) for label in labels], pa.string())
        return pa.array([float(label) for label in labels], pa.float64())

    def predicted(self, column: pa.Array) -> pa.Array:
        """What a model answered."""
        return column.cast(self.kind)

    def given(self, column: pa.Array, classes: pa.Array) -> pa.Array:
        """The true labels of a file; null where there is none, or none that can be read."""
        if self.kind == pa.float64():
            return numbers(column)
        texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
        if self.has_booleans:
            texts = _renamed(pc.utf8_lower(texts), _WORDS_OF_BOOLEANS)
        known = pc.is_in(texts, value_set=classes)
        texts = pc.if_else(known, texts, _renamed(texts, self.shown))
        return pc.if_else(pc.equal(texts, ""), None, texts)


def numbers(column: pa.Array) -> pa.Array:
    """A column of a file as float64; null where there is no number."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return column.cast(pa.float64())
    texts = pc.utf8_trim_whitespace(column)
    try:
        return pc.if_else(pc.equal(texts, ""), None, texts).cast(pa.float64())
    except pa.ArrowInvalid:
        return pa.array([_number(text) for text in texts.to_pylist()], pa.float64())


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def shown(label: str | float) -> str:
    """A label for people: whole numbers without a point."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def positions(labels: pa.Array, classes: pa.Array) -> np.ndarray:
    """Where each label stands among the classes; -1 for one that is not there."""
    found = pc.fill_null(pc.index_in(labels, value_set=classes), -1)
    return np.asarray(found, dtype=np.int64)


def _renamed(texts: pa.Array, names: Mapping[str, str]) -> pa.Array:
    if not names:
        return texts
    places = pc.index_in(texts, value_set=pa.array(list(names), pa.string()))
    return pc.coalesce(pa.array(list(names.values()), pa.string()).take(places), texts)
