"""The first rows of a Parquet file, read by a process of its own where they might need much memory.

A page of a few kilobytes can become two gigabytes, and a dictionary of one long text a hundred of them.
Chunks are read by scoring processes, which have a limit of memory, but the rows of a dry run by the API,
which serves everybody. So what can grow is read elsewhere, within limits; numbers that cannot are read on the
spot, which is faster.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from base.formats.types import InputRefused, Span

FREE_BYTES = 64 << 20
MAX_MEMORY_BYTES = 768 << 20
MAX_CPU_SECONDS = 20
MAX_SECONDS = 120
# What the answer may hold: first rows beyond it are left out.
MAX_HEAD_BYTES = 64 << 20
# Times a page can grow. Those of zstd, Brotli and gzip have no bound that would be of use.
_GROWTH = {"UNCOMPRESSED": 1, "SNAPPY": 24}
# Of other types, and of lists, a few bytes can say "the same again" any number of times.
_FIXED = {"BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE"}
_MOST_PIECES = 2000
# Each column holds a page while it is read, so not all are read at a time.
_COLUMNS_AT_A_TIME = 16
_REFUSED, _NO_MEMORY = 3, 4
# More threads of linear algebra would take the memory that is allowed.
_COMMAND = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); os.environ['OPENBLAS_NUM_THREADS'] = '1'; "
    "from base.formats import parquet, parquet_head; parquet_head.answer(parquet.read_table)"
)
# How many may run at a time in one process; others wait.
_places = threading.BoundedSemaphore(2)


def stays_small(metadata: Any, span: Span, names: Sequence[str]) -> bool:
    """Whether reading the first rows cannot take more than ``FREE_BYTES``, whatever the pages hold."""
    wanted, rows, size, pieces = set(names), 0, 0, 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for position in range(group.num_columns):
            column = group.column(position)
            if column.path_in_schema.partition(".")[0] not in wanted:
                continue
            growth = _GROWTH.get(column.compression)
            is_flat = metadata.schema.column(position).max_repetition_level == 0
            if growth is None or not is_flat or column.physical_type not in _FIXED:
                return False
            size += growth * column.total_compressed_size
        pieces += group.num_columns
        rows += group.num_rows
        if size > FREE_BYTES or pieces > _MOST_PIECES:
            return False
        if rows >= span.stop:
            return True
    return True


def read_apart(path: Path, span: Span, names: Sequence[str]) -> pa.Table:
    """What another process read of ``span`` within its limits.

    Raises ``InputRefused`` as reading does, and if memory or time did not suffice.
    """
    search = json.dumps([os.path.abspath(entry) for entry in sys.path])  # noqa: PTH100 - "" is the working folder
    asked = json.dumps({"path": str(path), "stop": span.stop, "names": list(names)})
    command = [sys.executable, "-c", _COMMAND, search]
    try:
        with _places:
            ended = subprocess.run(
                command, input=asked.encode(), capture_output=True, timeout=MAX_SECONDS, check=False
            )
    except subprocess.TimeoutExpired:
        raise _too_heavy(f"{MAX_SECONDS} s") from None
    if ended.returncode == 0:
        return pa.ipc.open_stream(ended.stdout).read_all()
    if ended.returncode == _REFUSED:
        raise InputRefused(**json.loads(ended.stdout))
    if ended.returncode == _NO_MEMORY:
        raise _too_heavy(f"{MAX_MEMORY_BYTES >> 20} MiB of memory")
    if ended.returncode < 0:
        raise _too_heavy(f"{MAX_MEMORY_BYTES >> 20} MiB of memory and {MAX_CPU_SECONDS} s")
    raise RuntimeError(f"first rows were not read: {ended.stderr.decode(errors='replace')[-2000:]}")


def answer(read_table: Callable[[Path, Span, Sequence[str]], pa.Table]) -> None:
    """What the other process does: read what standard input asks for, and write it as an Arrow stream."""
    asked = json.loads(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    path, names, span = Path(asked["path"]), asked["names"], Span(0, asked["stop"], asked["stop"])
    try:
        columns: list[pa.ChunkedArray] = []
        for start in range(0, len(names), _COLUMNS_AT_A_TIME):
            columns += read_table(path, span, names[start : start + _COLUMNS_AT_A_TIME]).columns
        table = _that_fits(pa.table(columns, names=names))
        with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
            stream.write_table(table)
    except InputRefused as refused:
        sys.stdout.write(json.dumps({"code": refused.code, "message": refused.message}))
        sys.exit(_REFUSED)
    except MemoryError:
        sys.exit(_NO_MEMORY)


def _that_fits(table: pa.Table) -> pa.Table:
    while table.nbytes > MAX_HEAD_BYTES:
        if table.num_rows == 1:
            raise InputRefused(
                "too_large",
                f"the first row has {table.nbytes} bytes; at most {MAX_HEAD_BYTES} are looked at: "
                "send smaller cells",
            )
        table = table.slice(0, table.num_rows // 2)
    return table


def _too_heavy(limit: str) -> InputRefused:
    return InputRefused(
        "too_large",
        f"the first rows of the Parquet file cannot be read within {limit}: it is damaged, or its pages are "
        "far larger than those of common writers; write the file again, with smaller cells or pages",
    )
