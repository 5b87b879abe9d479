"""The member index: what planning found out about every row of an archive, in one file that chunks slice.

An Arrow file of record batches of one size, read by memory map. So a chunk of fifty images in an archive of
half a million opens as fast, and with as little memory, as in one of a hundred. Everything that takes a look
at the whole archive (names that come twice, bytes that are claimed twice) is decided here, once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from base.formats.archive import names
from base.formats.archive.entries import FREE_BYTES, MAX_MEMBER, MAX_MEMBERS, MAX_RATIO, Entry
from base.formats.types import InputRefused, Span

BATCH_ROWS = 4096
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("offset", pa.int64()),
        ("packed", pa.int64()),
        ("size", pa.int64()),
        ("stop", pa.int64()),
        ("method", pa.int32()),
        ("crc", pa.int64()),
        ("name_crc", pa.int64()),
        ("code", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Indexed:
    """What an index holds: rows, the bytes that they unpack to, and what the archive's user should know."""

    rows: int
    bytes: int
    notes: list[str]


def write(entries: Iterable[Entry], out: Path, alive: Callable[[], None]) -> tuple[int, int]:
    """Judge the entries and store them; returns rows and unpacked bytes.

    ``alive`` is called once a batch, and may raise to stop. Raises InputRefused for too many rows.
    """
    rows = size = 0
    judged = map(_Judge(), entries)
    with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        while batch := list(itertools.islice(judged, BATCH_ROWS)):
            alive()
            rows += len(batch)
            if rows > MAX_MEMBERS:
                raise InputRefused(
                    "too_large", f"the archive has more than {MAX_MEMBERS} files; send several archives"
                )
            size += sum(map(_taken, batch))
            columns = zip(*batch, strict=True)
            arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
    return rows, size


def read(index: Path, start: int, stop: int) -> Iterator[Entry]:
    """Rows [start, stop) of an index; only the batches that they lie in are looked at."""
    with pa.memory_map(str(index)) as source, pa.ipc.open_file(source) as reader:
        for number in range(start // BATCH_ROWS, -(-stop // BATCH_ROWS)):
            first = number * BATCH_ROWS
            batch = reader.get_batch(number)
            part = batch.slice(max(start - first, 0), min(stop - first, BATCH_ROWS) - max(start - first, 0))
            yield from itertools.starmap(Entry, zip(*(column.to_pylist() for column in part), strict=True))


def spans(index: Path, target_rows: int, max_bytes: int) -> Iterator[Span]:
    """Spans of at most ``target_rows`` rows and, beyond the first row, ``max_bytes`` unpacked."""
    start = size = row = 0
    for taken in _sizes(index):
        if row > start and (row - start >= target_rows or size + taken > max_bytes):
            yield Span(start, row, row - start)
            start, size = row, 0
        size += taken
        row += 1
    yield Span(start, row, row - start)


def _sizes(index: Path) -> Iterator[int]:
    with pa.memory_map(str(index)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            good = batch.column("code").is_null().to_pylist()
            for size, is_good in zip(batch.column("size").to_pylist(), good, strict=True):
                yield size if is_good else 0


def _taken(entry: Entry) -> int:
    """Bytes that reading the row will take."""
    return 0 if entry.code else entry.size


class _Judge:
    """Adds to entries, one after the other, what is wrong with them whatever the archive's format is."""

    def __init__(self) -> None:
        self._seen = names.Seen()

    def __call__(self, entry: Entry) -> Entry:
        fault = self._fault(entry)
        if fault is None:
            return entry
        return entry._replace(name=names.printable(entry.name), code=fault[0], reason=fault[1])

    def _fault(self, entry: Entry) -> tuple[str, str] | None:
        if bad_name := names.fault(entry.name):
            return "unsafe_name", f"{bad_name}; rename it"
        if self._seen.is_repeated(entry.name):
            return "duplicate_name", "another file of this name stands before it; give each its own"
        if entry.code and entry.reason:
            return entry.code, entry.reason
        return _bad_size(entry)


def _bad_size(entry: Entry) -> tuple[str, str] | None:
    if not entry.size:
        return "empty_member", "it is empty (0 bytes)"
    if entry.size > MAX_MEMBER:
        return "too_large", f"it unpacks to {entry.size} bytes; a member may have {MAX_MEMBER}"
    if entry.size > FREE_BYTES and entry.size > MAX_RATIO * entry.packed:
        return "decompression_bomb", (
            f"it unpacks from {entry.packed} to {entry.size} bytes, more than {MAX_RATIO} times; "
            "no picture does that"
        )
    return None
