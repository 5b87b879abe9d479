"""The first records of a CSV file: its delimiter, its column names, and fields split by the parser's rule.

Works on a few records of the head, so plain Python is fine here; nothing on the path of a file calls it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from base.formats.records import Dialect, RecordEnds
from base.formats.types import InputRefused

DELIMITERS = (b",", b";", b"\t", b"|")
# Records that vote on the delimiter.
_VOTERS = 100
_VOTING = 1 << 16


def check_delimiter(delimiter: str) -> bytes:
    """The delimiter as the byte that the parser takes."""
    encoded = delimiter.encode("utf-8", "replace")
    if len(encoded) != 1 or encoded in b'"\r\n\x00':
        raise InputRefused(
            "unsupported_delimiter",
            f"delimiter {delimiter!r} is not usable: it must be one ASCII character, not a quote or newline",
        )
    return encoded


def sniff_delimiter(head: bytes, *, final: bool) -> bytes:
    """The delimiter that splits most records into as many fields as the first; ``,`` when there is none."""
    if head.count(b"\n", 0, _VOTING) > 1:  # else the lines are very long, or end with returns
        head, final = head[:_VOTING], final and len(head) <= _VOTING
    best, delimiter = (0.0, 0), b","
    for candidate in DELIMITERS:
        counts = [len(split(record, candidate)) for record in first_records(head, candidate, final, _VOTERS)]
        if not counts or counts[0] < 2:
            continue
        score = (counts.count(counts[0]) / len(counts), counts[0])
        if score > best:
            best, delimiter = score, candidate
    return delimiter


def first_records(head: bytes, delimiter: bytes, final: bool, limit: int) -> list[bytes]:
    """The first whole, non-blank records, without their terminators."""
    ends = RecordEnds(head, Dialect(delimiter), final=final)
    stops = np.append(ends.all, len(head)) if final else ends.all
    starts = ends.starts(blank_rows=False)[:limit]
    which = np.searchsorted(stops, starts, side="right")
    which = which[which < len(stops)]  # the record that the head cuts off has no end
    return [head[start:stop].rstrip(b"\r\n") for start, stop in zip(starts, stops[which], strict=False)]


def split(record: bytes, delimiter: bytes) -> list[bytes]:
    """The fields of one record; text behind a closing quote belongs to the field, as for the parser."""
    fields: list[bytes] = []
    position = 0
    while True:
        quoted, position = _quoted(record, position)
        stop = record.find(delimiter, position)
        if stop < 0:
            fields.append(quoted + record[position:])
            return fields
        fields.append(quoted + record[position:stop])
        position = stop + 1


def duplicates(names: Iterable[str]) -> list[str]:
    """The names that stand more than once. Nameless columns (spreadsheets export them) do not count."""
    return [name for name, count in Counter(names).items() if count > 1 and name]


def _quoted(record: bytes, position: int) -> tuple[bytes, int]:
    """The unescaped quoted part of the field at ``position`` (or nothing), and the offset behind it."""
    if record[position : position + 1] != b'"':
        return b"", position
    parts: list[bytes] = []
    position += 1
    while True:
        stop = record.find(b'"', position)
        if stop < 0:
            return b"".join([*parts, record[position:]]), len(record)
        parts.append(record[position:stop])
        if record[stop + 1 : stop + 2] != b'"':
            return b"".join(parts), stop + 1
        parts.append(b'"')
        position = stop + 2
