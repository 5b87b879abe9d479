"""The user's sample file, read as a job's input would be: same formats, same rules for missing values."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from base.formats import CsvOptions, InputColumn, InputRefused, InputShape, Wanted, decode, head, read, sniff
from models.errors import SignatureRefused
from models.manifest import Kind
from models.rules import INEXACT_INTEGER

# Ranges and categories are those of the first rows; what the estimator accepts never depends on them.
SAMPLE_ROWS = 50_000
MAX_DECODED_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Sample:
    """The first rows of a sample, target columns left out; ``integral`` columns held whole numbers only.

    Its ranges and categories are the usual ones, unless it is only an example (``tells_usual``).
    """

    table: pa.Table
    integral: frozenset[str]
    unusable: Mapping[str, str]  # columns of other types (nested, dates) with what they are
    tells_usual: bool = True

    @property
    def kinds(self) -> dict[str, Kind]:
        """Of its columns."""
        kinds: dict[pa.DataType, Kind] = {pa.string(): "string", pa.bool_(): "boolean"}
        return {each.name: kinds.get(each.type, "number") for each in self.table.schema}


def read_sample(path: Path, targets: Sequence[str], kinds: Mapping[str, Kind]) -> Sample:
    """Read the head of ``path``; ``kinds`` overrules the types seen where the estimator knows better.

    Raises SignatureRefused: ``bad_sample`` names the column or row, ``unknown_target`` the columns there are.
    """
    try:
        return _read(path, targets, kinds)
    except InputRefused as refused:
        raise SignatureRefused(
            "bad_sample", f"The sample {path.name} cannot be used: {refused.message}"
        ) from (refused)
    except OSError as error:
        raise SignatureRefused(
            "bad_sample", f"The sample {path} cannot be read: {error.strerror}."
        ) from error


def _read(path: Path, targets: Sequence[str], kinds: Mapping[str, Kind]) -> Sample:
    shape = sniff(path, CsvOptions(), max_decoded_bytes=MAX_DECODED_BYTES)
    if shape.is_archive:
        raise SignatureRefused("bad_sample", f"The sample {path.name} is an archive; give a table.")
    names = [column.name for column in shape.columns]
    for target in targets:
        if target not in names:
            raise SignatureRefused(
                "unknown_target", f"--target {target}: the sample has the columns {', '.join(names)}."
            )
    unusable = [column for column in shape.columns if column.kind in ("nested", "other")]
    wanted = [
        Wanted(name=column.name, position=position, kind=kinds.get(column.name) or _kind(column))
        for position, column in enumerate(shape.columns)
        if column.name not in targets and column not in unusable
    ]
    table = _first_rows(path, shape, wanted)
    by_name = {column.name: column for column in shape.columns}
    return Sample(
        table=table,
        integral=frozenset(name for name in table.column_names if _is_integral(table, by_name[name])),
        unusable={column.name: column.arrow or column.kind for column in unusable},
    )


def _first_rows(path: Path, shape: InputShape, wanted: Sequence[Wanted]) -> pa.Table:
    with tempfile.TemporaryDirectory() as folder:
        if shape.needs_decoding:
            decoded = Path(folder) / "decoded"
            with decoded.open("wb") as out:
                decode(path, out, shape, max_decoded_bytes=MAX_DECODED_BYTES)
            path = decoded
        chunk = read(path, shape, head(path, shape, SAMPLE_ROWS), wanted, ())
        if chunk.problems:
            first = chunk.problems[0]
            raise SignatureRefused(
                "bad_sample", f"The sample has a bad row ({first.row + 1}): {first.message}"
            )
        return chunk.columns.slice(0, SAMPLE_ROWS)


def _kind(column: InputColumn) -> Kind:
    kinds: dict[str, Kind] = {"string": "string", "boolean": "boolean"}
    return kinds.get(column.kind, "number")


def _is_integral(table: pa.Table, column: InputColumn) -> bool:
    values = table.column(column.name)
    if not pa.types.is_floating(values.type) or values.null_count or not len(values):
        return False
    numbers = values.to_numpy()
    if (abs(numbers) >= INEXACT_INTEGER).any():
        return False  # training has rounded them too
    if column.arrow is not None:
        return "int" in column.arrow
    return bool((numbers == numbers.round()).all())
