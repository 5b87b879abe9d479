"""Labels as they were sent, whatever in: tables of texts, a block at a time.

How a file becomes such tables stands in ``extracting``, how JSON does in the API. What labels are joined to
is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

# What a label is joined by: an id that an answer named, a key, the number of a job's row, or the order alone.
By = Literal["prediction_id", "key", "row", "order"]

SCHEMA = pa.schema([("key", pa.string()), ("label", pa.string())])
SHOWN = 20


@dataclass(frozen=True)
class Sent:
    """``tables`` gives all labels anew each time, under ``SCHEMA``; in order there are no keys."""

    by: By
    tables: Callable[[], Iterator[pa.Table]]

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """The same in tables of about so many rows."""
        waiting: list[pa.Table] = []
        for table in self.tables():
            waiting.append(table)
            if sum(map(len, waiting)) >= rows:
                yield pa.concat_tables(waiting)
                waiting = []
        if waiting:
            yield pa.concat_tables(waiting)


@dataclass
class Tally:
    """What became of the labels that were sent."""

    sent: int = 0
    joined: int = 0  # met a prediction
    unknown: int = 0  # met none
    unusable: int = 0  # without a key or a label, or not of the type of the model's labels
    unseen: int = 0  # joined, though the model has no such class
    unknown_keys: list[str] = field(default_factory=list)  # the first ones
    unusable_labels: list[str] = field(default_factory=list)
    unseen_labels: list[str] = field(default_factory=list)

    def add_unknown(self, keys: pa.Array) -> None:
        """Count keys that met nothing."""
        self.unknown += len(keys)
        self.show_unknown(keys)

    def show_unknown(self, keys: pa.Array) -> None:
        """Show keys that are counted already; the first ones first, here and below."""
        _show(self.unknown_keys, keys)

    def add_unusable(self, labels: pa.Array) -> None:
        """Count labels that mean nothing; nulls are labels that were not sent."""
        self.unusable += len(labels)
        _show(self.unusable_labels, labels)

    def add_unseen(self, labels: pa.Array) -> None:
        """Count labels that are none of the model's classes."""
        self.unseen += len(labels)
        self.show_unseen(labels)

    def show_unseen(self, labels: pa.Array) -> None:
        """Show labels that are counted already."""
        _show(self.unseen_labels, labels)


def _show(shown: list[str], values: Any) -> None:
    room = SHOWN - len(shown)
    if room > 0 and len(values):
        fresh = pc.unique(pc.drop_null(values.cast(pa.string())))[: SHOWN + room].to_pylist()
        shown.extend([value[:100] for value in fresh if value[:100] not in shown][:room])
