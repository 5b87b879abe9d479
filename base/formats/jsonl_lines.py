"""JSON Lines one line at a time: for blocks with bad lines or cells, and for kept values that are not text.

Slower than Arrow, so it runs only for blocks that Arrow cannot read as they should be read. Cells that are
good come out as Arrow reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from base.formats.records import JSON_LINES, count_lines
from base.formats.types import ChunkRows, ColumnKind, RowProblem, Wanted, shown

_MINUS_ZERO = -0.0


class NotJson:
    """NaN or Infinity: Python writes them, JSON does not have them."""

    def __init__(self, literal: str) -> None:
        self.literal = literal


class BadValue(Exception):
    """A value that does not fit its column."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def parse_line(line: bytes) -> Any:
    """The value of one line; NaN and Infinity become :class:`NotJson`, of equal keys the last counts."""
    return json.loads(line.decode("utf-8", "surrogateescape"), parse_constant=NotJson, parse_int=_integer)


def kind_of(value: Any) -> ColumnKind:
    """The column kind that one JSON value speaks for."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "nested"


def read_lines(data: bytes, wanted: Sequence[tuple[Wanted, str]], kept: Sequence[str]) -> ChunkRows:
    """The rows of ``data``: columns for ``wanted`` (with the key each is read from), text for ``kept``."""
    columns: list[list[Any]] = [[] for _ in wanted]
    texts: list[list[str | None]] = [[] for _ in kept]
    cells = [
        (name, _CONVERSIONS[column.kind], out) for (column, name), out in zip(wanted, columns, strict=True)
    ]
    cells += [(name, _as_text, out) for name, out in zip(kept, texts, strict=True)]
    problems: list[RowProblem] = []
    rows = 0
    for line, content in enumerate(data.split(b"\n")):
        if content.strip():
            problems += _read_row(content, rows, line, cells)
            rows += 1
    return ChunkRows(
        pa.table(
            [pa.array(out, column.arrow) for (column, _), out in zip(wanted, columns, strict=True)],
            names=[column.name for column, _ in wanted],
        ),
        pa.table([pa.array(out, pa.string()) for out in texts], names=list(kept)),
        rows,
        count_lines(data, JSON_LINES),
        problems,
    )


Cell = tuple[str, Callable[[Any], Any], list[Any]]


def _read_row(content: bytes, row: int, line: int, cells: list[Cell]) -> Iterator[RowProblem]:
    """Append one line's values to the columns of ``cells`` and tell what is wrong with them."""
    try:
        record = parse_line(content)
        fault = None if isinstance(record, dict) else ("not_an_object", "the line is not a JSON object")
    except RecursionError:
        fault = ("invalid_json", "the line is nested too deeply")
    except ValueError as error:
        fault = ("invalid_json", f"the line is not JSON: {error}")
    if fault is not None:
        record = {}
        yield RowProblem(row, line, None, shown(content), *fault)
    seen = set()
    for name, convert, out in cells:
        value = record.get(name)
        try:
            out.append(None if value is None else convert(value))
        except BadValue as bad:
            out.append(None)
            if name not in seen:
                stood = value if isinstance(value, str) else _shown(value)
                yield RowProblem(row, line, name, _encodable(shown(stood)), bad.code, bad.message)
            seen.add(name)


def _integer(literal: str) -> int | float:
    return _MINUS_ZERO if literal == "-0" else int(literal)


def _as_number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if number in {float("inf"), float("-inf")}:
            raise BadValue("not_a_number", f"{_shown(value)} is beyond the range of a float64")
        return number
    _refuse_nested(value)
    raise BadValue("not_a_number", f"{_shown(value)} is not a JSON number")


def _as_string(value: Any) -> str:
    if isinstance(value, str):
        return _utf8(value)
    _refuse_nested(value)
    raise BadValue("not_a_string", f"{_shown(value)} is not a JSON string; put it in quotes")


def _as_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    _refuse_nested(value)
    raise BadValue("not_a_boolean", f"{_shown(value)} is not true or false")


def _as_text(value: Any) -> str:
    """A kept value: a string as its text, anything else as compact JSON."""
    if isinstance(value, str):
        return _utf8(value)
    if value is _MINUS_ZERO:
        return "0"
    return _utf8(_compact(value))


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "number": _as_number,
    "string": _as_string,
    "boolean": _as_boolean,
}


def _refuse_nested(value: Any) -> None:
    if isinstance(value, dict | list):
        raise BadValue("nested_value", f"{_shown(value)} is nested; a cell holds one value")


def _utf8(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadValue("invalid_utf8", f"{_shown(value)} is not valid Unicode text") from error
    return value


def _compact(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_literal)
    except RecursionError as error:
        raise BadValue("nested_value", "the value is nested too deeply") from error


def _literal(value: NotJson) -> str:
    return value.literal


def _shown(value: Any) -> str:
    """A value as a message shows it: its JSON text, cut, and always encodable."""
    return _encodable(shown(value.literal if isinstance(value, NotJson) else _compact(value)))


def _encodable(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
