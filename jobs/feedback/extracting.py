"""Keys and labels of a file, as an Arrow stream of two columns of text, made by a process of its own.

A page of Parquet with a few kilobytes can become gigabytes, and a large file keeps a processor busy for long:
both are no affair of a process that answers requests. What comes out is bounded: cells longer than any key or
label are null, and so are those with a NUL, which Postgres has not.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from base import formats
from base.files import Files
from base.formats import CsvOptions, InputRefused, InputShape
from jobs.feedback.labels import MAX_LABEL_LENGTH
from jobs.feedback.sent import SCHEMA, By, Sent
from models.payload import MAX_KEY_LENGTH

MAX_MEMORY_BYTES = 1 << 30
MAX_CPU_SECONDS = 900
MAX_SECONDS = 1800
ROWS = 1 << 17
MAX_SPAN_BYTES = 16 << 20
_REFUSED, _NO_MEMORY = 3, 4
_COMMAND = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); os.environ['OPENBLAS_NUM_THREADS'] = '1'; "
    "from jobs.feedback import extracting; extracting.answer()"
)


@dataclass(frozen=True)
class Columns:
    """Where keys and labels stand in a file; of the first three one at most. None: not said."""

    label: str
    key: str | None = None
    row: str | None = None
    prediction_id: str | None = None
    of_job: bool = False

    def find(self, names: list[str]) -> tuple[By, str | None]:
        """What labels are joined by, and the column that has it."""
        ways: tuple[By, ...] = ("prediction_id", "key", "row")
        for way in ways:
            if (named := getattr(self, way)) is not None:
                return way, named
        if self.of_job:
            return "order", None
        for way in ways[:2]:
            if way in names:
                return way, way
        raise _missing("prediction_id or key", names)


def extract(files: Files, path: Path, columns: Columns, out: Path, max_decoded_bytes: int) -> Sent:
    """Read the labels of the file at ``path``; they stand in ``out``, for as long as they are needed.

    Raises ``InputRefused`` for what is no table, lacks a column, or needs more than the limits above.
    """
    search = json.dumps([os.path.abspath(entry) for entry in sys.path])  # noqa: PTH100 - "" is the working folder
    asked = {
        "root": str(files.root),
        "path": str(path),
        "out": str(out),
        "columns": asdict(columns),
        "max_decoded_bytes": max_decoded_bytes,
    }
    command = [sys.executable, "-c", _COMMAND, search]
    try:
        ended = subprocess.run(
            command, input=json.dumps(asked).encode(), capture_output=True, timeout=MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _too_heavy(f"{MAX_SECONDS} s") from None
    if ended.returncode == 0:
        by: By = json.loads(ended.stdout)
        return Sent(by, lambda: _stored(out))
    if ended.returncode == _REFUSED:
        raise InputRefused(**json.loads(ended.stdout))
    if ended.returncode == _NO_MEMORY or ended.returncode < 0:
        raise _too_heavy(f"{MAX_MEMORY_BYTES >> 20} MiB of memory and {MAX_CPU_SECONDS} s")
    raise RuntimeError(f"labels were not read: {ended.stderr.decode(errors='replace')[-2000:]}")


def answer() -> None:
    """What the other process does."""
    asked = json.loads(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    files, path, out = Files(Path(asked["root"])), Path(asked["path"]), Path(asked["out"])
    try:
        by = _copy(files, path, Columns(**asked["columns"]), out, asked["max_decoded_bytes"])
    except InputRefused as refused:
        sys.stdout.write(
            json.dumps({"code": refused.code, "message": refused.message, "errors": refused.errors})
        )
        sys.exit(_REFUSED)
    except MemoryError:
        sys.exit(_NO_MEMORY)
    sys.stdout.write(json.dumps(by))


def _copy(files: Files, path: Path, columns: Columns, out: Path, max_decoded_bytes: int) -> By:
    shape = formats.sniff(path, CsvOptions(), max_decoded_bytes=max_decoded_bytes)
    if shape.is_archive:
        raise InputRefused("wrong_input_kind", f"labels are a table; the file is {shape.format}")
    names = [column.name for column in shape.columns]
    by, key = columns.find(names)
    wanted = [columns.label] if key is None else [key, columns.label]
    for name in wanted:
        if name not in names:
            raise _missing(repr(name), names)
    with files.draft() as decoded, pa.OSFile(str(out), "wb") as sink:
        if shape.needs_decoding:
            with decoded.open("wb") as stream:
                formats.decode(path, stream, shape, max_decoded_bytes=max_decoded_bytes)
        with pa.ipc.new_stream(sink, SCHEMA) as stream:
            for table in _tables(decoded if shape.needs_decoding else path, shape, wanted):
                stream.write_table(table)
    return by


def _tables(path: Path, shape: InputShape, wanted: list[str]) -> Iterator[pa.Table]:
    names = [column.name for column in shape.columns]
    keep = [names.index(name) for name in wanted]
    for span in formats.plan(path, shape, chunk_rows=ROWS, max_chunk_bytes=MAX_SPAN_BYTES):
        kept = formats.read(path, shape, span, (), keep).kept
        labels = _texts(kept, wanted[-1], MAX_LABEL_LENGTH)
        keys = pa.nulls(len(kept), pa.string())
        if len(wanted) > 1:
            keys = _texts(kept, wanted[0], MAX_KEY_LENGTH)
        yield pa.table([keys, labels], schema=SCHEMA)


def _texts(table: pa.Table, name: str, most: int) -> pa.ChunkedArray:
    column = table.column(name)
    try:
        texts = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = f"column {name!r} holds {column.type}, which is no key and no label"
        raise InputRefused("mistyped_column", message) from error
    lengths = pc.utf8_length(texts)
    is_odd = pc.or_(pc.match_substring(texts, "\0"), pc.or_(pc.greater(lengths, most), pc.equal(lengths, 0)))
    return pc.if_else(is_odd, None, texts)


def _stored(path: Path) -> Iterator[pa.Table]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])


def _missing(what: str, names: list[str]) -> InputRefused:
    message = f"the file has no column {what}; it has {', '.join(names)[:500]}"
    return InputRefused("missing_column", message, [{"code": "missing_column", "column": what}])


def _too_heavy(limit: str) -> InputRefused:
    return InputRefused(
        "too_large", f"the labels cannot be read within {limit}; send smaller cells, or the file in parts"
    )
