"""What can be submitted (a file, a folder or list of images, a DataFrame) as one thing: a body in blocks."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeGuard, cast
from urllib.parse import quote

from rowmill.client.image_set import ImageFile, in_folder, of_paths, tar_blocks, tar_size_bytes

if TYPE_CHECKING:
    import pandas as pd

    Source = str | os.PathLike[str] | BinaryIO | pd.DataFrame | Sequence[str | os.PathLike[str]]

BLOCK_BYTES = 1 << 20

Progress = Callable[[int, int | None], None]


@dataclass
class Upload:
    """A body to send; `repeatable` is False where the bytes can be read only once."""

    open_blocks: Callable[[], Iterator[bytes]]
    name: str | None
    size_bytes: int | None
    repeatable: bool
    sha256: str = field(default="", init=False)  # of the last try that was sent whole

    def blocks(self) -> Iterator[bytes]:
        """The body from its first byte, hashed as it passes: a digest before it means reading it twice."""
        hasher = hashlib.sha256()
        for block in self.open_blocks():
            hasher.update(block)
            yield block
        self.sha256 = hasher.hexdigest()

    def headers(self) -> dict[str, str]:
        """Length and name of the body; without a length it is sent chunked."""
        headers = {"Content-Type": "application/octet-stream"}
        if self.size_bytes is not None:
            headers["Content-Length"] = str(self.size_bytes)
        if self.name:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(self.name, safe='')}"
        return headers


def is_frame(source: Source) -> TypeGuard[pd.DataFrame]:
    """Whether the source is no path, no list of paths and no open file, and so can only be a DataFrame."""
    return not (isinstance(source, str | os.PathLike | list | tuple) or hasattr(source, "read"))


@contextmanager
def opened(source: Source, progress: Progress | None) -> Iterator[Upload]:
    """The upload of a source; `progress` is called with the bytes sent and their total (None: unknown)."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        yield _of_folder(path, progress) if path.is_dir() else _of_path(path, path.name, progress)
    elif isinstance(source, list | tuple):
        yield _of_files(of_paths(source), "images.tar", progress)
    elif not is_frame(source):
        yield _of_stream(cast(BinaryIO, source), progress)
    else:
        # imported late: only DataFrames need pandas
        from rowmill.client.frames import write_frame  # noqa: PLC0415

        with tempfile.TemporaryDirectory(prefix="rowmill-") as folder:
            path = Path(folder) / "frame.parquet"
            write_frame(source, path)
            yield _of_path(path, None, progress)


def _of_path(path: Path, name: str | None, progress: Progress | None) -> Upload:
    size = path.stat().st_size

    def blocks() -> Iterator[bytes]:
        with path.open("rb") as file:
            yield from _blocks(file, size, progress)

    return Upload(blocks, name, size, repeatable=True)


def _of_folder(folder: Path, progress: Progress | None) -> Upload:
    return _of_files(in_folder(folder), f"{folder.resolve().name}.tar", progress)


def _of_files(files: Sequence[ImageFile], name: str, progress: Progress | None) -> Upload:
    size = tar_size_bytes(files)
    return Upload(lambda: _reported(tar_blocks(files), size, progress), name, size, repeatable=True)


def _of_stream(stream: BinaryIO, progress: Progress | None) -> Upload:
    return Upload(lambda: _blocks(stream, None, progress), None, None, repeatable=False)


def _blocks(file: BinaryIO, size: int | None, progress: Progress | None) -> Iterator[bytes]:
    return _reported(iter(lambda: file.read(BLOCK_BYTES), b""), size, progress)


def _reported(blocks: Iterator[bytes], size: int | None, progress: Progress | None) -> Iterator[bytes]:
    sent = 0
    for block in blocks:
        yield block
        sent += len(block)
        if progress:
            progress(sent, size)
