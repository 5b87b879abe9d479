"""Archives of images, zip and tar: members as rows, read by range through an index that planning writes.

Nothing is extracted to disk and no name from an archive becomes a path. A member that cannot be had
(encrypted, damaged, a link, a bomb …) is a problem of its row, never of the archive.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from base.formats.archive import index, tar_entries, zip_entries
from base.formats.archive.entries import MAX_MEMBERS
from base.formats.archive.index import Indexed
from base.formats.archive.members import read_members
from base.formats.types import InputRefused, InputShape

__all__ = ["Indexed", "read_members", "write_index"]


def write_index(
    path: Path,
    shape: InputShape,
    out: Path,
    alive: Callable[[], None],
    *,
    most: int = MAX_MEMBERS + 1,
    is_whole: bool = True,
) -> Indexed:
    """Find the members of the (decoded) archive, at most ``most`` of them, and store them in ``out``.

    ``is_whole`` is False for the head of a tar. Raises InputRefused where the archive as a whole cannot be
    used. ``alive`` is called all the time, and may raise to stop.
    """
    if shape.format == "zip":
        rows, size = index.write(itertools.islice(zip_entries.entries(path), most), out, alive)
        return Indexed(rows, size, [])
    with path.open("rb", buffering=0) as file:

        def read_at(count: int, at: int) -> bytes:
            alive()
            return os.pread(file.fileno(), count, at)

        walk = tar_entries.TarWalk(read_at, os.fstat(file.fileno()).st_size, is_whole=is_whole)
        rows, size = index.write(itertools.islice(walk.entries(), most), out, alive)
    if is_whole and not rows:
        raise InputRefused("empty_input", "the tar archive holds no files")
    return Indexed(rows, size, walk.notes)
