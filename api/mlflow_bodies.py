"""What MLflow's clients send to ``/invocations``: JSON of four shapes, or CSV; each becomes rows.

Told apart by Content-Type, as MLflow does. Whether the rows fit the model is decided where it is for every
route.
"""

from __future__ import annotations

from typing import Any

from api import strict_json
from base.formats import ChunkRows, CsvOptions, InputRefused
from base.formats.csv_format import CsvReader
from base.formats.csv_sniff import sniff
from base.formats.records import Dialect, RecordEnds
from jobs.columns import match
from jobs.errors import Problem
from models.manifest import Manifest
from models.payload import PayloadRefused, Rows, error, pointer, read_rows, refused, too_many_rows

SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")
JSON, CSV = "application/json", "text/csv"


def rows_of(manifest: Manifest, mimetype: str, charset: str, body: bytes, most: int) -> Rows:
    """Raises PayloadRefused, or ``Problem`` (``bad_json``, ``unknown_format``, …)."""
    if charset.lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise Problem("unknown_format", f"The charset must be UTF-8, not {charset[:40]!r}.")
    if mimetype == CSV:
        return _csv(manifest, body, most)
    if mimetype != JSON:
        raise Problem("unknown_format", f"The Content-Type must be {JSON} or {CSV}, not {mimetype[:80]!r}.")
    return _json(manifest, body, most)


def _json(manifest: Manifest, body: bytes, most: int) -> Rows:
    """Keys beside the data, such as ``params``, are ignored, as MLflow's server ignores them."""
    # json.dumps, in MLflow's client, writes NaN
    value = strict_json.parse(body, constant=strict_json.nan_is_null)
    found = [shape for shape in SHAPES if isinstance(value, dict) and shape in value]
    if len(found) != 1:
        has = ", ".join(repr(str(key)[:50]) for key in list(value)[:10]) if isinstance(value, dict) else ""
        text = f"The body must be a JSON object with exactly one of {', '.join(SHAPES)}"
        raise refused("", "wrong_type", f"{text}; it has {has or 'none'}.")
    shape, takes = found[0], manifest.signature
    data = _numbered(value[shape], takes.names) if shape == "dataframe_split" else value[shape]
    return read_rows({shape: data}, takes.names, most, texts=takes.kind == "text")


def _numbered(split: Any, names: tuple[str, ...]) -> Any:
    """A frame without names of columns has their numbers: these count by position."""
    if isinstance(split, dict) and split.get("columns") == list(range(len(names))):
        return split | {"columns": list(names)}
    return split


def _csv(manifest: Manifest, body: bytes, most: int) -> Rows:
    """Columns by name, in any order, others ignored: ``to_csv`` writes an index that no model has."""
    if manifest.signature.kind == "image":
        raise Problem("wrong_input_kind", f"{manifest.reference} takes images, not CSV; send JSON.")
    if not body.strip():
        raise InputRefused("empty_input", "The body is empty; send a header and at least one row.")
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        raise refused("", "invalid_text", f"The CSV is not UTF-8 text: see byte {bad.start}.") from bad
    shape = sniff(body, CsvOptions(delimiter=","), final=True)
    columns = match(manifest, shape, [], [])
    data = body[shape.data_start :]
    if RecordEnds(data, Dialect(b","), final=True).open_quote is not None:
        raise refused("", "open_quote", "A quote in the CSV is never closed, so nobody knows its rows.")
    chunk = CsvReader(shape, columns.wanted, []).read(data)
    if chunk.rows > most:
        raise too_many_rows(chunk.rows, most)
    _refuse_unreadable(chunk)
    return Rows(chunk.columns.to_pylist(), False, pointer)


def _refuse_unreadable(chunk: ChunkRows) -> None:
    """Cells that are not what their column holds."""
    if chunk.problems:
        entries = [error(pointer(p.row, p.column), p.code, p.message) for p in chunk.problems]
        first = chunk.problems[0]
        text = f"Row {first.row} of the CSV cannot be read: {first.message}"
        raise PayloadRefused("invalid_input", text, entries)
