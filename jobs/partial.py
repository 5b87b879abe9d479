"""What a job gives that has no result, or none yet: its committed chunks in order, and what is missing.

The file is written while it is sent, a part at a time: nothing is stored, and memory is that of a few parts.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby

import pyarrow as pa

from base.files import Files
from jobs.reading import list_chunks
from jobs.records import Chunk, Input, Job
from jobs.results import BATCH_ROWS, bare_schema, in_turn, join, lineage
from jobs.states import ChunkStatus
from jobs.workshop import Workshop


@dataclass(frozen=True)
class Gap:
    """A run of input rows that is not there, ``position`` rows after the start of the partial result.

    ``row`` is its first row in the input, from 0, and ``rows`` its length. Where rows of text were never
    read, nobody knows how many they are: then ``rows`` is null there, and ``row`` in all later gaps.
    """

    position: int
    row: int | None
    rows: int | None

    def __str__(self) -> str:
        """First and last row, as in a ``Range``; what is not known is a question mark."""
        last = None if self.row is None or self.rows is None else self.row + self.rows - 1
        return "-".join("?" if number is None else str(number) for number in (self.row, last))


def gaps(job: Job, chunks: Iterable[Chunk]) -> list[Gap]:
    """The missing runs of rows, neighbours together; a job that was not cut into chunks lacks everything."""
    if job.chunks_total is None:
        return [Gap(0, 0, job.rows_total)]
    found: list[Gap] = []
    position = 0
    row: int | None = 0
    for missing, run in groupby(chunks, key=lambda chunk: chunk.status != ChunkStatus.DONE):
        counts = [chunk.rows for chunk in run]
        rows = None if None in counts else sum(count or 0 for count in counts)
        if missing:
            found.append(Gap(position, row, rows))
        else:
            position += rows or 0
        row = None if row is None or rows is None else row + rows
    return found


@dataclass(frozen=True)
class Partial:
    """The committed chunks of a job; ``empty`` is the schema for a job that has none."""

    files: Files
    chunks: list[Chunk]
    gaps: list[Gap]
    empty: pa.Schema
    metadata: Mapping[str, str]

    def tables(self) -> Iterator[pa.Table]:
        """The rows in tables of a bounded size; at least one, that may be empty."""
        parts = in_turn(self.files, self._done())
        for part in chain([next(parts, self.empty.empty_table())], parts):
            yield part.slice(0, BATCH_ROWS)
            for start in range(BATCH_ROWS, len(part), BATCH_ROWS):
                yield part.slice(start, BATCH_ROWS)

    def parquet(self) -> Iterator[bytes]:
        """A Parquet file in pieces; its metadata names what is missing."""
        missing = json.dumps([dataclasses.asdict(gap) for gap in self.gaps])
        metadata = {**self.metadata, "rowmill.missing_rows": missing}
        sink = _Pieces()
        for _ in join(self.files, self._done(), self.empty, metadata, sink):
            yield sink.taken()
        yield sink.taken()

    def _done(self) -> Iterator[Chunk]:
        return (chunk for chunk in self.chunks if chunk.status == ChunkStatus.DONE)


def of_job(workshop: Workshop, job: Job, source: Input) -> Partial:
    """What is committed of a job at this moment."""
    manifest = workshop.registry.recorded(job.model_name, job.model_version)
    chunks = list_chunks(workshop.database, job.id)
    return Partial(
        workshop.files,
        chunks,
        gaps(job, chunks),
        bare_schema(manifest, job.options["outputs"]),
        lineage(job, source, manifest.libraries),
    )


class _Pieces(io.BytesIO):
    """A file that forgets what was taken from it; its writer still sees all that it wrote."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    def tell(self) -> int:
        return self._taken + super().tell()

    def taken(self) -> bytes:
        """All that was written since the last time."""
        piece = self.getvalue()
        self._taken += len(piece)
        self.seek(0)
        self.truncate()
        return piece
