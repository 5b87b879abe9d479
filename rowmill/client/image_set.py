"""Many image files as one body: a tar that is made while it is sent, so that memory holds a block at a time.

A tar needs nothing but a header before each file. Times, owners and modes are left out, so that the same
files are the same input on the server.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file to send: its name in the archive, and its size when it was found."""

    path: str
    name: str
    size_bytes: int


def in_folder(folder: Path) -> list[ImageFile]:
    """Every file below a folder, sorted by its name relative to it; none whose name begins with a dot.

    Raises OSError for what cannot be read or sent, and if there is none.
    """
    found = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    if not found:
        raise FileNotFoundError(f"there is no file in the folder {folder}")
    return sorted((_found(path, path.relative_to(folder)) for path in found), key=lambda file: file.name)


def of_paths(paths: Sequence[str | os.PathLike[str]]) -> list[ImageFile]:
    """The files of a list, in its order; names are relative to the folder that they have in common.

    Raises OSError as `in_folder` does, TypeError for what is no path.
    """
    if not paths:
        raise FileNotFoundError("the list of files is empty")
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"expected paths of image files in the list, not {type(path).__name__}")
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - Path leaves .. in names
    folder = os.path.commonpath([path.parent for path in absolute])
    return [_found(path, path.relative_to(folder)) for path in absolute]


def tar_size_bytes(files: Sequence[ImageFile]) -> int:
    """Bytes that `tar_blocks` gives."""
    return sum(len(_header(file)) + file.size_bytes + _padding(file) for file in files) + len(_end())


def tar_blocks(files: Sequence[ImageFile]) -> Iterator[bytes]:
    """The archive, in large blocks. Raises OSError if a file became shorter meanwhile."""
    block = bytearray()
    for piece in _pieces(files):
        block += piece
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _pieces(files: Sequence[ImageFile]) -> Iterator[bytes]:
    for file in files:
        yield _header(file)
        yield from _content(file)
        yield bytes(_padding(file))
    yield _end()


def _refuse(error: OSError) -> None:
    raise error


def _found(path: Path, name: Path) -> ImageFile:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a file, so it cannot be sent with others")
    return ImageFile(str(path), name.as_posix(), status.st_size)


def _header(file: ImageFile) -> bytes:
    info = tarfile.TarInfo(file.name)
    info.size = file.size_bytes
    return info.tobuf(tarfile.PAX_FORMAT)


def _content(file: ImageFile) -> Iterator[bytes]:
    left = file.size_bytes
    with Path(file.path).open("rb") as stream:
        while left:
            block = stream.read(min(left, BLOCK_BYTES))
            if not block:
                raise OSError(f"{file.path} became shorter while it was sent; send the files again")
            left -= len(block)
            yield block


def _padding(file: ImageFile) -> int:
    return -file.size_bytes % tarfile.BLOCKSIZE


def _end() -> bytes:
    return bytes(2 * tarfile.BLOCKSIZE)
