"""The first rows of a file, read exactly as a chunk is: to check it before it is queued, and for dry runs."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from base.files import Files
from base.formats import ChunkRows, InputShape, Span, decode, head, read
from jobs.columns import Columns

HEAD_ROWS = 100
HEAD_BYTES = 4 << 20


class _Enough(Exception):
    """The head is decoded; the rest is not wanted."""


class _Limited:
    """A sink that stops its writer once it has ``HEAD_BYTES``."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        self._stream.write(data)
        if self._stream.tell() >= HEAD_BYTES:
            raise _Enough
        return len(data)


def read_head(
    files: Files, path: Path, shape: InputShape, columns: Columns, max_decoded_bytes: int
) -> ChunkRows:
    """About the first hundred rows of a table."""
    if not shape.needs_decoding:
        return read(path, shape, head(path, shape, HEAD_ROWS), columns.wanted, columns.keep)
    with files.draft() as draft:
        span = _decode_head(path, draft, shape, max_decoded_bytes)
        return read(draft, shape, span, columns.wanted, columns.keep)


def _decode_head(path: Path, draft: Path, shape: InputShape, max_decoded_bytes: int) -> Span:
    with draft.open("wb") as out:
        try:
            # a Parquet file has its footer at the end, and can only be decoded as a whole
            sink: Any = out if shape.format == "parquet" else _Limited(out)
            decode(path, sink, shape, max_decoded_bytes=max_decoded_bytes)
        except _Enough:
            pass
    return head(draft, shape, HEAD_ROWS)
