"""The column of true labels: read for one target, and refused if it is another column by mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowmill.client.comparison.labels import Alphabet, Writing, numbers, shown
from rowmill.client.comparison.scores import numbers_of
from rowmill.client.errors import NotComparable

# Labels that neither model has a class for count as wrong, and each is a row of the counts. A column of ids
# would be as many as there are rows.
MAX_STRANGERS = 1000


class TrueLabels:
    """Of two classifiers; ``classes`` are those of both."""

    def __init__(self, column: str, alphabet: Alphabet, classes: pa.Array, writing: Writing) -> None:
        self._column = column
        self._alphabet = alphabet
        self._classes = classes
        self._writing = writing
        self._strangers: set[Any] = set()
        self._known_rows = 0

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """Null where there is none. Raises NotComparable if there are far too many different ones."""
        labels = self._alphabet.given(batch.column(self._column), self._writing)
        known = pc.is_in(labels, value_set=self._classes)
        self._known_rows += known.true_count
        self._strangers.update(pc.unique(labels.filter(pc.invert(known))).drop_null().to_pylist())
        if len(self._strangers) > MAX_STRANGERS:
            raise self._wrong(f"holds more than {MAX_STRANGERS:,} labels that neither version knows")
        return labels

    def check(self) -> None:
        """Raise NotComparable if no label was a class of either model."""
        if self._strangers and not self._known_rows:
            raise self._wrong("holds no label that either version knows")

    def _wrong(self, what: str) -> NotComparable:
        stranger = shown(min(self._strangers))
        few = ", ".join(shown(label) for label in self._classes[:5].to_pylist())
        return NotComparable(
            f"the column {self._column!r} {what}: it has {stranger!r}, and they answer {few}; "
            "name the column of the true labels"
        )


class TrueNumbers:
    """Of two regressors."""

    def __init__(self, column: str, writing: Writing) -> None:
        self._column = column
        self._writing = writing
        self._unread: str | None = None
        self._read_rows = 0

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """NaN where there is none."""
        column = batch.column(self._column)
        values = numbers_of(numbers(column, self._writing))
        is_read = np.isfinite(values)
        self._read_rows += int(is_read.sum())
        if not self._read_rows and self._unread is None:
            texts = (str(value).strip() for value in column.to_pylist() if value is not None)
            self._unread = next((text for text in texts if not self._writing.is_missing(text)), None)
        return values

    def check(self) -> None:
        """Raise NotComparable if there was something in the column, but no number."""
        if self._unread is not None and not self._read_rows:
            raise NotComparable(
                f"the column {self._column!r} holds {self._unread!r} and no number that can be read; name "
                "the column of the true numbers, and their decimal mark if it is a comma"
            )
