"""How scored rows are written: Parquet whose bytes follow from the content, row errors as JSON Lines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from base.formats import RowProblem

# A kept column whose dictionary outgrows this is written plainly from there on. Ids never repeat: with the
# default of 1 MiB they took as long to write as all other columns together.
MAX_DICTIONARY_BYTES = 64 << 10


def open_writer(out: Path | IO[bytes], schema: pa.Schema, *, checksums: bool = False) -> pq.ParquetWriter:
    """A writer with the encodings that suit scores: zstd, and BYTE_STREAM_SPLIT for fractions.

    Probabilities never repeat, so a dictionary only costs time: without it, writing is over twice as fast and
    the file nearly half as large. Whole numbers have one: DuckDB 1.5 reads BYTE_STREAM_SPLIT of fractions
    only. ``checksums`` of pages cost a tenth of the writing.
    """
    fractions = [f.name for f in schema if f.type in (pa.float32(), pa.float64())]
    others = [f.name for f in schema if f.name not in fractions]
    return pq.ParquetWriter(
        out,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=others or False,
        dictionary_pagesize_limit=MAX_DICTIONARY_BYTES,
        column_encoding=dict.fromkeys(fractions, "BYTE_STREAM_SPLIT"),
        write_statistics=True,
        write_page_checksum=checksums,
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Write one chunk as one row group."""
    with open_writer(path, table.schema) as writer:
        writer.write_table(table, row_group_size=max(1, len(table)))


def write_problems(path: Path, problems: Iterable[RowProblem]) -> None:
    """Write the sidecar: one JSON object a line, rows and lines counted from the start of the chunk."""
    with path.open("w", encoding="utf-8") as stream:
        for problem in problems:
            stream.write(json.dumps(problem_record(problem), ensure_ascii=False) + "\n")


def problem_record(problem: RowProblem) -> dict[str, Any]:
    """A row error as plain data."""
    return dataclasses.asdict(problem)
