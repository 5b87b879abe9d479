"""What a zip's directory says of each member, judged: what can be read, and what is a bad row and why."""

from __future__ import annotations

import stat
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from base.formats.archive import zip_directory
from base.formats.archive.entries import COLUMNS, DEFLATED, MAX_MEMBER, STORED, Entry
from base.formats.archive.names import is_clutter
from base.formats.archive.zip_directory import Record
from base.formats.types import InputRefused, InputShape

LOCAL_HEADER = 30
ENCRYPTED = 0x1 | 0x40 | 0x2000
_FARTHEST = 1 << 62  # keeps claimed positions within 64 signed bits
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 98: "PPMd"}
_AES = 99
_SPECIAL = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a fifo",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def sniff(path: Path) -> InputShape:
    """The shape of the archive: one row a file. Walks the directory once.

    Raises InputRefused for one that lies about itself, and where not a single file could be read.
    """
    rows = size = 0
    faults: Counter[tuple[str, str]] = Counter()
    for record in zip_directory.walk(path, zip_directory.find(path)):
        if record.name == "[Content_Types].xml":
            raise InputRefused("unknown_format", "the file is an Office document; save the sheet as CSV")
        if not _is_no_row(record):
            rows += 1
            size += min(record.size, MAX_MEMBER)
            if fault := _unreadable(record):
                faults[fault] += 1
    if not rows:
        raise InputRefused("empty_input", "the zip archive holds no files")
    if faults.total() == rows:
        (code, reason), count = faults.most_common(1)[0]
        raise InputRefused(code, f"no file of the zip archive can be read; {count} of {rows}: {reason}")
    return InputShape(
        format="zip", compression=None, columns=COLUMNS, rows=rows, bytes_per_row=max(size / rows, 1.0)
    )


def entries(path: Path) -> Iterator[Entry]:
    """The files of the archive in the order of its directory; names are not judged yet."""
    directory = zip_directory.find(path)
    stops, shared = _stops(path, directory)
    for position, record in enumerate(zip_directory.walk(path, directory)):
        if not _is_no_row(record):
            stop = int(stops[position])
            code, reason = _fault(record, stop, bool(shared[position])) or (None, None)
            yield Entry(
                name=record.name,
                offset=min(record.offset, _FARTHEST),
                packed=min(record.packed, _FARTHEST),
                size=min(record.size, _FARTHEST),
                stop=stop,
                method=record.method,
                crc=record.crc,
                name_crc=zlib.crc32(record.raw_name),
                code=code,
                reason=reason,
            )


def _is_no_row(record: Record) -> bool:
    is_folder = record.name.endswith("/") or (record.name.endswith("\\") and not record.size)
    return is_folder or is_clutter(record.name)


def _stops(path: Path, directory: zip_directory.Directory) -> tuple[np.ndarray, np.ndarray]:
    """For each record, where the next member (or the directory) begins, and whether two begin at one place.

    Needs the whole directory at once: 16 bytes a record while it is walked, 8 MB for the largest.
    """
    offsets = array("q", (min(r.offset, _FARTHEST) for r in zip_directory.walk(path, directory)))
    starts = np.frombuffer(offsets, dtype=np.int64)
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    stops = np.empty_like(starts)
    stops[order] = np.minimum(np.append(ordered[1:], directory.start), directory.start)
    shared = np.zeros(len(starts), dtype=bool)
    same = ordered[1:] == ordered[:-1]
    shared[order[1:][same]] = True
    shared[order[:-1][same]] = True
    return stops, shared


def _fault(record: Record, stop: int, shared: bool) -> tuple[str, str] | None:
    if fault := _unreadable(record):
        return fault
    if shared or record.offset + LOCAL_HEADER + record.packed > stop:
        return "overlapping", "its bytes are claimed by another member or by the directory too"
    if record.method == STORED and record.packed != record.size:
        return "corrupt", (
            f"it is stored as it is, yet has {record.packed} bytes packed and {record.size} unpacked"
        )
    return None


def _unreadable(record: Record) -> tuple[str, str] | None:
    """What keeps a member from being read wherever it lies."""
    kind = _SPECIAL.get(stat.S_IFMT(record.unix_mode))
    if kind:
        return "not_a_file", f"it is {kind}; put the file itself into the archive"
    if record.flags & ENCRYPTED or record.method == _AES:
        return "encrypted", "it is encrypted; zip it without a password"
    if record.method not in (STORED, DEFLATED):
        method = _METHODS.get(record.method, f"method {record.method}")
        return "unsupported_method", f"it is compressed with {method}, which is not read; zip it with deflate"
    return None
