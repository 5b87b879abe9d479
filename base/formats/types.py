"""The words that every input format shares: what a head told, spans of rows, rows read, problems found.

Plain records only. Nothing here knows how any format is parsed, and nothing knows about models or jobs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

ColumnKind = Literal["number", "string", "boolean", "nested", "other", "unknown"]
WantedKind = Literal["number", "string", "boolean"]
FormatName = Literal["csv", "jsonl", "parquet", "zip", "tar"]
Compression = Literal["gzip", "zstd"]

# A problem shows this much of the offending value: enough to find it, never a whole megabyte cell.
VALUE_SHOWN = 200


class InputRefused(Exception):
    """The file as a whole cannot be used; ``code`` is stable, ``message`` says what to do about it."""

    def __init__(self, code: str, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.errors = errors or []


@dataclass(frozen=True, slots=True)
class InputColumn:
    """One column of the file. ``kind`` of text columns is what most values of the head are, so a guess."""

    name: str
    kind: ColumnKind
    arrow: str | None = None  # Parquet only: the Arrow type, dictionaries decoded
    bytes: float | None = None  # mean length of a cell in the head, where the column holds text


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """What the user said about the text; ``None`` means: find out."""

    delimiter: str | None = None
    header: bool = True
    charset: str | None = None
    decimal: str = "."
    null_values: tuple[str, ...] = ("NA", "NaN", "null")


@dataclass(frozen=True, slots=True)
class InputShape:
    """All that planning and reading need to know of a file, found in its head; stored with the job."""

    format: FormatName
    compression: Compression | None
    columns: tuple[InputColumn, ...]
    rows: int | None  # known for parquet and zip
    bytes_per_row: float  # an estimate from the head, of decoded bytes
    data_start: int = 0  # the first data record's byte in the decoded text, behind BOM and header
    header_lines: int = 0  # physical lines in front of data_start: what a file's line numbers start from
    csv: CsvOptions = field(default_factory=CsvOptions)
    needs_decoding: bool = False  # compressed, or a charset other than UTF-8

    @property
    def is_archive(self) -> bool:
        """Whether rows are members, which have names and bytes in place of columns."""
        return self.format in ("zip", "tar")

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` turns back into an equal shape."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> InputShape:
        columns = tuple(InputColumn(**column) for column in stored["columns"])
        csv = CsvOptions(**{**stored["csv"], "null_values": tuple(stored["csv"]["null_values"])})
        return cls(**{**stored, "columns": columns, "csv": csv})


@dataclass(frozen=True, slots=True)
class Span:
    """A run of whole rows: bytes [start, stop) of text, row numbers of Parquet, member numbers of an archive.

    In text formats ``rows`` is None, except for a record that no parser can take (its quote never closes, or
    it is longer than any record may be): such a record has a span of its own with ``rows == 1``.
    """

    start: int
    stop: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One bad cell, or one bad row (``column`` is None). ``row`` and ``line`` count from 0 in the chunk."""

    row: int
    line: int | None
    column: str | None
    value: str | None
    code: str
    message: str

    def shifted(self, rows: int, lines: int) -> RowProblem:
        """The same problem seen from a larger chunk, in which ``rows`` and ``lines`` come before it."""
        line = None if self.line is None else self.line + lines
        return RowProblem(self.row + rows, line, self.column, self.value, self.code, self.message)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column to parse: where it stands in the file, what to call it, what it must hold."""

    name: str
    position: int
    kind: WantedKind

    @property
    def arrow(self) -> pa.DataType:
        return ARROW_TYPES[self.kind]


ARROW_TYPES: dict[str, pa.DataType] = {"number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}


@dataclass(frozen=True, slots=True)
class ChunkRows:
    """The rows of one span. Bad cells, and all cells of bad rows, are null and have a :class:`RowProblem`."""

    columns: pa.Table  # one column per Wanted, in order: float64, string or bool
    kept: pa.Table  # the kept columns, in order: text as it stood; from Parquet the Arrow type
    rows: int
    lines: int | None  # physical lines of the span (text formats), so that absolute lines are prefix sums
    problems: list[RowProblem]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive: its bytes, or the problem that stands in their place."""

    name: str
    data: bytes | None
    problem: RowProblem | None


def shown(value: str | bytes) -> str:
    """``value`` as a problem shows it: text, cut to :data:`VALUE_SHOWN` characters."""
    if isinstance(value, bytes):
        value = value[: 4 * VALUE_SHOWN].decode("utf-8", "replace")
    return value[:VALUE_SHOWN]
