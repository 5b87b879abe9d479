"""Which row of a job's result each label is for: told by the row's number, by the order, or by a key.

Keys are looked up in the result a bucket at a time: labels and rows whose keys have the same hash, so that
each label and each row is looked at once, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.files import Files
from jobs.feedback.buckets import blocks, spread
from jobs.feedback.labels import arrow_type, typed
from jobs.feedback.pieces import Result, batches, count_rows
from jobs.feedback.sent import SHOWN, Sent, Tally
from models.payload import MAX_KEY_LENGTH

BLOCK_ROWS = 1 << 18
# Each is an open file while it is written.
MOST_BUCKETS = 512
_ROWS = pa.schema([("key", pa.string()), ("row", pa.int64())])


def matched(files: Files, result: Result, sent: Sent, tally: Tally) -> Iterator[pa.Table]:
    """Tables of ``row`` and ``label``; of two for one row the later one counts. ``tally`` is told of all."""
    if result.key_column is None:
        return _by_row(result, sent, tally)
    return _by_key(files, result, result.key_column, sent, tally)


def pairs(result: Result) -> pa.Schema:
    """What :func:`matched` gives."""
    return pa.schema([("row", pa.int64()), ("label", arrow_type(result.kind))])


def _by_row(result: Result, sent: Sent, tally: Tally) -> Iterator[pa.Table]:
    rows = count_rows(result)
    for usable in _usable(result, sent, tally):
        number = usable.column("key")
        is_there = pc.and_(pc.greater_equal(number, 0), pc.less(number, rows))
        met = usable.filter(is_there)
        tally.joined += len(met)
        tally.add_unknown(number.filter(pc.invert(is_there)))
        strange = met.column("label").filter(_strange(result, met.column("label")))
        tally.add_unseen(strange)
        yield pa.table([met.column("key"), met.column("label")], schema=pairs(result))


def _by_key(files: Files, result: Result, column: str, sent: Sent, tally: Tally) -> Iterator[pa.Table]:
    labels = sum(map(len, sent.tables()))
    count = min(1 + max(labels, count_rows(result)) // BLOCK_ROWS, MOST_BUCKETS)
    schema = pa.schema([("key", pa.string()), ("label", arrow_type(result.kind)), ("at", pa.int64())])
    said = _Said()
    with (
        spread(files, count, schema, _hashed(_usable(result, sent, tally), count)) as of_labels,
        spread(files, count, _ROWS, _hashed(_keys(result, column), count)) as of_rows,
    ):
        for some_labels, some_rows in zip(of_labels, of_rows, strict=True):
            last = _last_of_each_key(blocks(some_labels, BLOCK_ROWS))
            if last is None:
                continue
            keys, met = last.column("key").combine_chunks(), np.zeros(len(last), dtype=bool)
            for rows in blocks(some_rows, BLOCK_ROWS):
                at = pc.index_in(rows.column("key"), value_set=keys)
                found = pc.is_valid(at)
                at = at.filter(found)
                met[at.to_numpy()] = True
                yield pa.table(
                    [rows.column("row").filter(found), last.column("label").take(at)], schema=pairs(result)
                )
            said.add(result, last, pa.array(met), tally)
    said.tell(tally)


class _Said:
    """The first labels that met nothing, or are none of the model's classes, whatever bucket they were in."""

    def __init__(self) -> None:
        self._unknown: list[pa.Table] = []
        self._unseen: list[pa.Table] = []

    def add(self, result: Result, last: pa.Table, met: pa.Array, tally: Tally) -> None:
        """Count a bucket; a key that stands twice did what its last label did."""
        unknown, joined = last.filter(pc.invert(met)), last.filter(met)
        unseen = joined.filter(_strange(result, joined.column("label")))
        tally.joined += _sum(joined)
        tally.unknown += _sum(unknown)
        tally.unseen += _sum(unseen)
        self._unknown.append(unknown.sort_by("at").slice(0, SHOWN))
        self._unseen.append(unseen.sort_by("at").slice(0, SHOWN))

    def tell(self, tally: Tally) -> None:
        """Show them, in the order in which they were sent."""
        if self._unknown:
            tally.show_unknown(pa.concat_tables(self._unknown).sort_by("at").column("key"))
            tally.show_unseen(pa.concat_tables(self._unseen).sort_by("at").column("label"))


def _sum(labels: pa.Table) -> int:
    return pc.sum(labels.column("count")).as_py() or 0


def _usable(result: Result, sent: Sent, tally: Tally) -> Iterator[pa.Table]:
    """Labels with their keys, or numbers of rows, neither of them null, and their place among all."""
    start = 0
    for table in sent.blocks(BLOCK_ROWS):
        texts = table.column("label").combine_chunks()
        labels = typed(texts, result.kind)
        at = pa.array(np.arange(start, start + len(table)))
        keys = at if sent.by == "order" else table.column("key").combine_chunks()
        keys = typed(keys, "integer") if sent.by == "row" else keys
        start += len(table)
        tally.sent += len(table)
        usable = pc.and_(pc.is_valid(keys), pc.is_valid(labels))
        tally.add_unusable(texts.filter(pc.invert(usable)))
        yield pa.table({"key": keys, "label": labels, "at": at}).filter(usable)


def _keys(result: Result, column: str) -> Iterator[pa.Table]:
    """The keys of the result's rows; one that is longer than any that may be sent meets none."""
    start = 0
    for batch in batches(result.path, [column]):
        keys = batch.column(0).cast(pa.string())
        rows = pa.array(np.arange(start, start + len(batch)))
        start += len(batch)
        yield pa.table([keys, rows], schema=_ROWS).filter(pc.less_equal(pc.utf8_length(keys), MAX_KEY_LENGTH))


def _hashed(tables: Iterator[pa.Table], count: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Python's hash has a secret, so nobody can choose keys that all come into one bucket."""
    for table in tables:
        if count == 1:
            yield table, np.zeros(len(table), dtype=np.int64)
        else:
            hashes = map(hash, table.column("key").to_pylist())
            yield table, np.fromiter(hashes, np.int64, len(table)) % count


def _last_of_each_key(tables: Iterator[pa.Table]) -> pa.Table | None:
    """Each key once: its last label, its first place, and how often it stands there."""
    found: pa.Table | None = None
    for table in tables:
        counted = table.append_column("count", pa.array(np.ones(len(table), dtype=np.int64)))
        both = counted if found is None else pa.concat_tables([found, counted])
        grouped = both.group_by("key", use_threads=False)  # by several threads nothing is last
        found = grouped.aggregate([("label", "last"), ("at", "min"), ("count", "sum")])
        found = found.select(["key", "label_last", "at_min", "count_sum"]).rename_columns(
            counted.column_names
        )
    return found


def _strange(result: Result, labels: pa.Array) -> pa.Array:
    """Which labels are none of the model's classes, if it has any."""
    if not result.classes:
        return pa.array(np.zeros(len(labels), dtype=bool))
    classes = pa.array(list(result.classes)).cast(labels.type)
    return pc.invert(pc.is_in(labels, value_set=classes))
