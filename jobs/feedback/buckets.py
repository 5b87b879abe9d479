"""Tables of any length spread over files, so that each file alone fits into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from base.files import Files


@contextmanager
def spread(
    files: Files, count: int, schema: pa.Schema, tables: Iterable[tuple[pa.Table, np.ndarray]]
) -> Iterator[list[Path]]:
    """``count`` files, gone at the end of the block; beside each table stands the file of each of its rows.

    The rows of a file keep their order.
    """
    with ExitStack() as drafts:
        paths = [drafts.enter_context(files.draft(".arrow")) for _ in range(count)]
        with ExitStack() as writing:
            sinks = [writing.enter_context(pa.OSFile(str(path), "wb")) for path in paths]
            writers = [writing.enter_context(pa.ipc.new_stream(sink, schema)) for sink in sinks]
            for table, places in tables:
                order = np.argsort(places, kind="stable")
                ordered = table.take(pa.array(order))
                bounds = np.searchsorted(places[order], np.arange(count + 1))
                for writer, start, end in zip(writers, bounds[:-1], bounds[1:], strict=True):
                    if end > start:
                        writer.write_table(ordered.slice(start, end - start))
        yield paths


def blocks(path: Path, rows: int) -> Iterator[pa.Table]:
    """What :func:`spread` wrote to a file, in tables of about so many rows."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        waiting: list[pa.RecordBatch] = []
        for batch in stream:
            waiting.append(batch)
            if sum(map(len, waiting)) >= rows:
                yield pa.Table.from_batches(waiting).combine_chunks()
                waiting = []
        if waiting:
            yield pa.Table.from_batches(waiting).combine_chunks()
