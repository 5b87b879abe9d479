"""Labels of any type as one: what two models and a file call the same must be the same.

A model may answer 1 where another answers 1.0 or true, and a CSV file says "1". If all classes are numbers,
labels are numbers; otherwise they are texts, booleans as in JSON. A file may write blanks at the edges of a
label that its class does not have, and the other way round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowmill.client.comparison.answers import Label, Target, label_text

_NO_LABEL = frozenset({"", "na", "nan", "null"})
_WORDS_OF_BOOLEANS = {"true": "true", "false": "false", "1": "true", "0": "false"}


@dataclass(frozen=True)
class Writing:
    """How a file writes its labels: the decimal mark, and words for none beside the usual ones."""

    decimal: str = "."
    null_words: frozenset[str] = frozenset()

    def is_missing(self, text: str) -> bool:
        """Whether a text without blanks at its edges is no label."""
        return text in self.null_words or text.lower() in _NO_LABEL

    def number(self, text: str) -> float | None:
        """None for what is no number, or has another decimal mark."""
        if self.decimal != ".":
            text = text.replace(".", "?").replace(self.decimal, ".")
        try:
            return float(text)
        except ValueError:
            return None


@dataclass(frozen=True)
class Alphabet:
    """How the labels of one target are made alike; ``texts``: what each text for a class stands for."""

    kind: pa.DataType
    texts: Mapping[str, str]
    has_booleans: bool

    @classmethod
    def of(cls, target: Target) -> Alphabet:
        """For the classes of both models."""
        sides = [side.classes or () for side in (target.first, target.second)]
        classes = [label for side in sides for label in side]
        has_booleans = any(isinstance(label, bool) for label in classes)
        if all(map(_is_number, classes)) or (has_booleans and _say_zero_and_one(classes)):
            return cls(pa.float64(), {}, has_booleans)
        shown = {**target.first.shown, **target.second.shown}
        return cls(pa.string(), _texts([label_text(label) for label in classes], shown), has_booleans)

    def classes(self, labels: Sequence[Label]) -> pa.Array:
        """The classes of one model."""
        if self.kind == pa.string():
            return pa.array([label_text(label) for label in labels], pa.string())
        return pa.array([float(label) for label in labels], pa.float64())

    def predicted(self, column: pa.Array) -> pa.Array:
        """What a model answered."""
        return column.cast(self.kind)

    def given(self, column: pa.Array, writing: Writing) -> pa.Array:
        """The true labels of a file; null where there is none, or none that can be read."""
        encoded = column.dictionary_encode()
        labels = [self._label(value, writing) for value in encoded.dictionary.to_pylist()]
        return pa.array(labels, self.kind).take(encoded.indices)

    def _label(self, value: Any, writing: Writing) -> str | float | None:
        written = "" if value is None else label_text(value)
        text = written.strip()
        for known in (written, text):
            if known in self.texts:
                return self.texts[known]
        if writing.is_missing(text):
            return None
        word = _WORDS_OF_BOOLEANS.get(text.lower()) if self.has_booleans else None
        if self.kind == pa.string():
            return word or text
        return float(word == "true") if word else writing.number(text)


def _is_number(label: Label) -> bool:
    return isinstance(label, int | float) and not isinstance(label, bool)


def _say_zero_and_one(classes: Sequence[Label]) -> bool:
    """Whether one model says true where the other says 1."""
    return any(map(_is_number, classes)) and all(
        not isinstance(label, str) and label in (0, 1) for label in classes
    )


def _texts(classes: Iterable[str], shown: Mapping[str, str]) -> dict[str, str]:
    """Classes by all texts for them: their names, those of the training data, both without blanks."""
    own = {text: text for text in classes}
    exact = {**{text: name for text, name in shown.items() if name in own}, **own}
    meant = defaultdict(set)
    for text, name in exact.items():
        meant[text.strip()].add(name)
    return {text: names.pop() for text, names in meant.items() if text and len(names) == 1} | exact


def numbers(column: pa.Array, writing: Writing) -> pa.Array:
    """A column of a file as float64; null where there is no number."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return column.cast(pa.float64())
    texts = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(texts, value_set=pa.array(["", *writing.null_words], texts.type))
    if writing.decimal == ".":
        try:
            return pc.if_else(missing, None, texts).cast(pa.float64())
        except pa.ArrowInvalid:
            pass  # some of them are none: each is looked at
    values = [None if text is None else writing.number(text) for text in texts.to_pylist()]
    return pc.if_else(missing, None, pa.array(values, pa.float64()))


def shown(label: str | float) -> str:
    """A label for people: whole numbers without a point."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def positions(labels: pa.Array, classes: pa.Array) -> np.ndarray:
    """Where each label stands among the classes; -1 for one that is not there."""
    found = pc.fill_null(pc.index_in(labels, value_set=classes), -1)
    return np.asarray(found, dtype=np.int64)
