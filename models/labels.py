"""The true labels of a file, as a model knows them: "1", 1 and 1.0 are one class, names of classes too.

Results show labels as ``--labels`` names them; a file from training has those of training. Both are taken.
Blanks at the edges of a label or a class do not matter, unless classes differ in nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import ModelError
from models.manifest import Label, label_text

MISSING = -1
_MISSING_WORDS = ("", "na", "nan", "null")
SHOWN_CLASSES = 10


class Alphabet:
    """The classes of one output, by all the ways to write them; ``names``: what the originals became."""

    def __init__(self, classes: Sequence[Label], names: Mapping[str, str] | None) -> None:
        self.classes = classes
        self._names = names or {}
        shown = {label_text(label): position for position, label in enumerate(self.classes)}
        texts = {**{text: shown[name] for text, name in self._names.items() if name in shown}, **shown}
        self._texts = {**_without_blanks(texts), **texts}
        self._numbers: dict[float, int] = {}
        for position, label in enumerate(self.classes):
            if isinstance(label, bool):
                self._numbers[float(label)] = position
        for text, position in self._texts.items():
            if (number := _number(text)) is not None:
                self._numbers.setdefault(number, position)

    def with_those_of(self, other: Alphabet) -> Self:
        """The same classes at the same positions; behind them those of ``other`` that are none of these."""
        theirs = {shown: original for original, shown in other._names.items()}
        names: dict[str, str] = {}
        strangers = []
        for label in other.classes:
            text = label_text(label)
            own = self._own(label) or self._own(theirs.get(text, label))
            if own is None:
                strangers.append(label)
            else:
                names[text] = own
        return type(self)([*self.classes, *strangers], {**other._names, **names, **self._names})

    def _own(self, label: Label) -> str | None:
        """What a label of another model is called here."""
        position = self._position(label)
        return None if position in (None, MISSING) else label_text(self.classes[position])

    def positions(self, column: pa.ChunkedArray, first_row: int) -> np.ndarray:
        """Where each label stands among the classes; MISSING for a row that has none.

        Raises ModelError ``unknown_label`` with the row, counted from 1 in a column that starts at
        ``first_row``.
        """
        encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        places = [self._position(value) for value in encoded.dictionary.to_pylist()]
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        if None in places:
            stranger = places.index(None)
            row = first_row + int(np.flatnonzero(codes == stranger)[0]) + 1
            raise self._unknown(encoded.dictionary[stranger].as_py(), row)
        found: np.ndarray = np.array(places or [MISSING], np.int64)[codes]
        return found

    def _position(self, value: Any) -> int | None:
        verbatim = "" if value is None else label_text(value)
        text = verbatim.strip()
        for written in (verbatim, text):
            if written in self._texts:
                return self._texts[written]
        if text.lower() in _MISSING_WORDS:
            return MISSING
        number = _number(text)
        if text.lower() in ("true", "false"):
            number = float(text.lower() == "true")
        return None if number is None else self._numbers.get(number)

    def _unknown(self, value: Any, row: int) -> ModelError:
        shown = ", ".join(label_text(label) for label in self.classes[:SHOWN_CLASSES])
        more = ", …" if len(self.classes) > SHOWN_CLASSES else ""
        return ModelError(
            "unknown_label",
            f"Row {row} of the holdout has the label {value!r}, which is none of the model's classes "
            f"({shown}{more}). Name the column of the labels with --target, or mend the file.",
        )


def _without_blanks(texts: Mapping[str, int]) -> dict[str, int]:
    """Labels without the blanks at their edges, where that leaves no doubt which class is meant."""
    meant = defaultdict(set)
    for text, position in texts.items():
        meant[text.strip()].add(position)
    return {text: positions.pop() for text, positions in meant.items() if text and len(positions) == 1}


def true_numbers(column: pa.ChunkedArray, first_row: int) -> np.ndarray:
    """The true values of a regression; NaN for a row that has none. Raises ModelError ``unknown_label``."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = pc.utf8_trim_whitespace(column)
        is_missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(_MISSING_WORDS, texts.type))
        column = pc.if_else(is_missing, None, texts)
    try:
        values: np.ndarray = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _not_a_number(column, first_row) from None
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise _bad_number(column[row].as_py(), first_row + row + 1)
    return values


def _not_a_number(column: pa.ChunkedArray, first_row: int) -> ModelError:
    values = column.to_pylist()
    row = next((i for i, value in enumerate(values) if value is not None and _number(value) is None), 0)
    return _bad_number(values[row], first_row + row + 1)


def _bad_number(value: Any, row: int) -> ModelError:
    return ModelError(
        "unknown_label",
        f"Row {row} of the holdout has {value!r} where a finite number is predicted. "
        "Name the column of the labels with --target, or mend the file.",
    )


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
