"""The joined result and what is read from it: views in other formats, previews, row errors.

Views are made on the fly, a batch at a time; only the Parquet file is stored.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from base.files import Files
from jobs.errors import Problem
from jobs.parts import open_writer
from jobs.records import Chunk, Input, Job
from jobs.scoring import ERROR_FIELD
from models.manifest import Manifest, output_schema

BATCH_ROWS = 16_384
ERROR_COLUMNS = ("row", "line", "column", "value", "code", "message")


def join(
    files: Files,
    chunks: Iterable[Chunk],
    empty: pa.Schema,
    metadata: Mapping[str, str],
    out: Path | IO[bytes],
) -> Iterator[None]:
    """Write the parts one after another, a row group each, and pause after each; ``out`` is whole at the end.

    Memory is that of a few parts. ``empty`` is the schema of a result without rows. Raises ``Problem``
    (``part_damaged``) if a part is not what its attempt committed.
    """
    tables = in_turn(files, chunks)
    first = next(tables, empty.empty_table())
    # parts are read once, against a digest; a result is read in pieces, by whoever likes to
    with open_writer(out, first.schema.with_metadata(metadata), checksums=True) as writer:
        for table in chain([first], tables):
            if len(table):
                writer.write_table(table.replace_schema_metadata(metadata), row_group_size=len(table))
            yield


def in_turn(files: Files, chunks: Iterable[Chunk]) -> Iterator[pa.Table]:
    """The parts in order; the next one is read by a second thread while the caller works on this one."""
    with ThreadPoolExecutor(1) as reader:
        coming: Future[pa.Table] | None = None
        for chunk in chunks:
            ready, coming = coming, reader.submit(_read_part, files, chunk)
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()


def _read_part(files: Files, chunk: Chunk) -> pa.Table:
    part = chunk.part or {"file": "", "sha256": ""}
    return pq.read_table(pa.BufferReader(_as_committed(files, chunk, part["file"], part["sha256"])))


def _as_committed(files: Files, chunk: Chunk, name: str, sha256: str | None) -> bytes:
    """A file that an attempt committed; parts of earlier versions know no digest of their row errors."""
    path = files.path(name)
    data = path.read_bytes() if path.is_file() else None
    if data is None or (sha256 is not None and hashlib.sha256(data).hexdigest() != sha256):
        raise Problem(
            "part_damaged",
            f"What chunk {chunk.index} committed is {'gone' if data is None else 'damaged'}, so it is not "
            "used. Once the job has ended, POST /jobs/<id>/retry scores that chunk again, and no other.",
        )
    return data


def bare_schema(manifest: Manifest, outputs: Sequence[str]) -> pa.Schema:
    """The columns of a result of which no part is there to tell: those that scoring fills."""
    return output_schema(manifest, "confidence" in outputs).append(ERROR_FIELD)


def lineage(job: Job, source: Input, versions: Mapping[str, str]) -> dict[str, str]:
    """The file's metadata: only what determines its content, so that scoring twice gives the same bytes."""
    return {
        "rowmill.model": f"{job.model_name}@{job.model_version}",
        "rowmill.model_sha256": job.model_sha256,
        "rowmill.input_sha256": source.sha256,
        "rowmill.options": json.dumps(
            {name: value for name, value in job.options.items() if name != "ttl"}, sort_keys=True
        ),
        "rowmill.versions": json.dumps(dict(versions), sort_keys=True),
    }


def preview(path: Path, rows: int) -> list[dict[str, Any]]:
    """The first ``rows`` rows as plain data."""
    with opened(path) as parquet:
        batch = next(parquet.iter_batches(batch_size=max(1, rows)), None)
    return [] if batch is None else plain_rows(batch.slice(0, rows))


def plain_rows(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: no NaN or infinity (null instead), bytes in hexadecimal, times as text."""
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    match value:
        case None | str() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return value.hex()
        case _:
            return str(value)


def tables(path: Path) -> Iterator[pa.Table]:
    """The result in tables of a bounded size; the first one has no rows, and the schema of all."""
    with opened(path) as parquet:
        yield parquet.schema_arrow.empty_table()
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
            yield pa.Table.from_batches([batch])


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The result, each page of it checked as it is read. Raises ``Problem`` (``result_damaged``)."""
    try:
        # buffering ahead would hold on to all that was read until the file is closed
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise result_damaged(str(error)) from error


def result_damaged(why: str) -> Problem:
    """The refusal of a stored result that is not what was published."""
    return Problem(
        "result_damaged",
        f"The stored result is damaged ({why}). POST /jobs/<id>/clone scores the same input again.",
    )


def as_csv(pieces: Iterable[pa.Table]) -> Iterator[bytes]:
    """Tables of one schema, one at least, as CSV text."""
    for number, table in enumerate(pieces):
        yield _csv(table, header=number == 0)


def _csv(table: pa.Table, *, header: bool) -> bytes:
    for position, field in enumerate(table.schema):
        if "binary" in str(field.type):  # as in the other views
            shown = pa.array(map(_plain, table.column(position).to_pylist()), pa.string())
            table = table.set_column(position, field.name, shown)
    sink = io.BytesIO()
    pa.csv.write_csv(table, sink, pa.csv.WriteOptions(include_header=header))
    return sink.getvalue()


def as_jsonl(pieces: Iterable[pa.Table]) -> Iterator[bytes]:
    """Tables as JSON Lines; cells are as in :func:`plain_rows`."""
    for table in pieces:
        lines = (json.dumps(row, ensure_ascii=False) for row in plain_rows(table))
        yield "".join(f"{line}\n" for line in lines).encode()


def row_errors(files: Files, chunks: Iterable[Chunk], first_line: int) -> Iterator[dict[str, Any]]:
    """Every row error of the committed chunks, with rows and lines counted from the start of the file.

    Rows count from 0. Lines count from 1 and include the header; ``first_line`` is that of the first record.
    In a job that failed, what follows a chunk that was never scored has no known number, so null.
    """
    row: int | None = 0
    line: int | None = first_line
    for chunk in chunks:
        if chunk.part and chunk.part["errors_file"]:
            digest = chunk.part.get("errors_sha256")
            for text in _as_committed(files, chunk, chunk.part["errors_file"], digest).splitlines():
                yield shift(json.loads(text), row, line)
        row = None if row is None or chunk.rows is None else row + chunk.rows
        line = None if line is None or chunk.lines is None else line + chunk.lines


def shift(error: dict[str, Any], row: int | None, line: int | None) -> dict[str, Any]:
    """A row error with absolute numbers; one that cannot be known is null."""
    return {
        **error,
        "row": None if row is None else error["row"] + row,
        "line": None if line is None or error["line"] is None else error["line"] + line,
    }


def errors_as_jsonl(errors: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Row errors as JSON Lines."""
    for error in errors:
        yield (json.dumps(error, ensure_ascii=False) + "\n").encode()


def errors_as_csv(errors: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Row errors as CSV with a header."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, ERROR_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for error in errors:
        writer.writerow(error)
        yield sink.getvalue().encode()
        sink.seek(0)
        sink.truncate()
    yield sink.getvalue().encode()
