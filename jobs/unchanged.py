"""Whether the stored files that a job is scored from are still what they were when they were stored.

Nobody but Rowmill should write there; somebody does, or restores half a backup. Chunks of one job that read
different bytes would make a result of nothing that ever existed. Size and time of change are asked, for a
digest of the whole file would cost every chunk more than scoring it. A disk that flips bits by itself is not
seen here: zip, gzip and most Parquet files have checksums of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from base.files import Files
from base.formats import InputRefused
from jobs.errors import Problem
from jobs.records import Input

Stamps = dict[str, list[int]]


def stamps_of(files: Files, *names: str | None) -> Stamps:
    """Size in bytes and time of the last change in nanoseconds of stored files, by name."""
    return {name: _stamp(files, name) for name in names if name is not None}


@contextmanager
def unchanged(files: Files, source: Input) -> Iterator[None]:
    """Within the block the stored files are read: what was read is what was stored, or ``Problem`` is raised.

    Also if reading refuses what it finds: the file was good when it was accepted, so a change is the reason.
    """
    _refuse_changed(files, source)
    try:
        yield
    except InputRefused:
        _refuse_changed(files, source)
        raise
    _refuse_changed(files, source)


def _refuse_changed(files: Files, source: Input) -> None:
    """Raise ``Problem`` (``input_changed``) if a file that chunks are read from is not what was stored.

    One that is gone raises ``FileNotFoundError``: another host may see it.
    """
    known = source.stamps or {}
    for name in (source.file, source.decoded_file, source.index_file):
        if name in known and _stamp(files, name) != known[name]:
            raise Problem(
                "input_changed",
                f"The stored input {source.name!r} was changed after it was received, so no result can be "
                "trusted. Nothing but Rowmill may write into its data folder. Send the file again.",
            )


def _stamp(files: Files, name: str) -> list[int]:
    found = files.path(name).stat()
    return [found.st_size, found.st_mtime_ns]
