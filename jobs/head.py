"""The first rows of a file, read exactly as a chunk is: to check it before it is queued, and for dry runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from base import formats
from base.files import Files
from base.formats import (
    ChunkRows,
    InputRefused,
    InputShape,
    Member,
    Span,
    decode,
    head,
    read_members,
    write_index,
)
from jobs.columns import Columns

HEAD_ROWS = 100
HEAD_BYTES = 4 << 20
# An archive's head is for the few rows of a dry run: what a request may make the API unpack and decode.
HEAD_MEMBERS = 10
HEAD_ARCHIVE_BYTES = 64 << 20


class _Enough(Exception):
    """The head is decoded; the rest is not wanted."""


class _Limited:
    """A sink that stops its writer once it has ``limit`` bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def write(self, data: Any) -> int:
        self._stream.write(data)
        if self._stream.tell() >= self._limit:
            raise _Enough
        return len(data)


def read_head(
    files: Files, path: Path, shape: InputShape, columns: Columns, max_decoded_bytes: int
) -> ChunkRows:
    """About the first hundred rows of a table. Raises ``InputRefused`` if they do not fit into memory."""
    try:
        return _read_head(files, path, shape, columns, max_decoded_bytes)
    except MemoryError as error:
        message = (
            f"its first rows need more memory than there is ({error}); send fewer rows, or smaller cells"
        )
        raise InputRefused("too_large", message) from error


def _read_head(
    files: Files, path: Path, shape: InputShape, columns: Columns, max_decoded_bytes: int
) -> ChunkRows:
    if not shape.needs_decoding:
        return formats.read_head(path, shape, head(path, shape, HEAD_ROWS), columns.wanted, columns.keep)
    with files.draft() as draft:
        # a Parquet file has its footer at the end, and can only be decoded as a whole
        limit = max_decoded_bytes if shape.format == "parquet" else HEAD_BYTES
        _decode_head(path, draft, shape, limit, max_decoded_bytes)
        return formats.read_head(draft, shape, head(draft, shape, HEAD_ROWS), columns.wanted, columns.keep)


@contextmanager
def head_members(
    files: Files, path: Path, shape: InputShape, max_member_bytes: int, max_decoded_bytes: int
) -> Iterator[Iterator[Member]]:
    """The first ten members of an archive, judged as a job's are, but none larger than ``max_member_bytes``.

    Of a compressed tar 64 MiB are decoded; members that reach beyond are left out.
    """
    with files.draft() as decoded, files.draft() as index:
        is_cut = shape.needs_decoding and _decode_head(
            path, decoded, shape, HEAD_ARCHIVE_BYTES, max_decoded_bytes
        )
        archive = decoded if shape.needs_decoding else path
        found = write_index(archive, shape, index, _never_stops, most=HEAD_MEMBERS, is_whole=not is_cut)
        rows = found.rows
        members = read_members(archive, index, Span(0, rows, rows), max_member_bytes=max_member_bytes)
        yield (m for m in members if not (is_cut and m.problem and m.problem.code == "truncated"))


def _never_stops() -> None:
    """No lease is held that could be lost."""


def _decode_head(path: Path, draft: Path, shape: InputShape, limit: int, max_decoded_bytes: int) -> bool:
    """Decode about ``limit`` bytes into ``draft``; whether there was more."""
    with draft.open("wb") as out:
        try:
            decode(path, cast(BinaryIO, _Limited(out, limit)), shape, max_decoded_bytes=max_decoded_bytes)
        except _Enough:
            return True
    return False
