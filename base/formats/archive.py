"""zip archives of images: the directory, spans of members, and the members of one span, each within bounds.

Nothing is extracted to disk and no name from the archive becomes a path. A member that cannot be had
(encrypted, too large, damaged) is a problem of its row, never of the archive. Images are not known here.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from base.formats.types import InputColumn, InputRefused, InputShape, Member, RowProblem, Span, shown

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
MAX_MEMBERS = 500_000
MAX_DIRECTORY = 128 << 20
MAX_MEMBER = 64 << 20
# Images hardly compress further: a member above FREE_BYTES that grows more than this is a bomb.
MAX_RATIO = 200
FREE_BYTES = 4 << 20

_END_SIZE = 22
_LOCAL_HEADER = 30
_ENCRYPTED = 0x1
# What macOS and Windows put beside the user's files.
_CLUTTER = ("__MACOSX/",)
_CLUTTER_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini"}


def sniff(path: Path) -> InputShape:
    """The shape of an archive: one row per file in it."""
    with _open(path) as archive:
        names = [member.filename for member in archive.infolist()]
        members = _files(archive)
    if "[Content_Types].xml" in names:
        raise InputRefused("unknown_format", "the file is an Office document; save the sheet as CSV")
    if not members:
        raise InputRefused("empty_input", "the zip archive holds no files")
    size = sum(member.file_size for member in members)
    return InputShape(
        format="zip",
        compression=None,
        columns=(InputColumn("file", "string"),),
        rows=len(members),
        bytes_per_row=max(size / len(members), 1.0),
    )


def plan(path: Path, target_rows: int, max_chunk_bytes: int) -> Iterator[Span]:
    """Spans of at most ``target_rows`` members and, beyond the first member, ``max_chunk_bytes`` unpacked."""
    with _open(path) as archive:
        sizes = [min(member.file_size, MAX_MEMBER) for member in _files(archive)]
    start = size = 0
    for index, member_size in enumerate(sizes):
        if index > start and (index - start >= target_rows or size + member_size > max_chunk_bytes):
            yield Span(start, index, index - start)
            start, size = index, 0
        size += member_size
    yield Span(start, len(sizes), len(sizes) - start)


def read_members(path: Path, span: Span) -> Iterator[Member]:
    """The members of ``span`` in archive order; one at a time is in memory."""
    with _open(path) as archive:
        overlapping = _overlapping(archive)
        for row, member in enumerate(_files(archive)[span.start : span.stop]):
            if member.header_offset in overlapping:
                yield _problem(row, member, "corrupt", "its bytes are claimed by another member too")
            else:
                yield _read(archive, row, member)


def _open(path: Path) -> zipfile.ZipFile:
    _check_directory(path)
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise InputRefused(
            "unreadable_bytes", f"the zip archive is damaged: {error}; zip and send the files again"
        ) from error


def _check_directory(path: Path) -> None:
    """Refuse a directory too large to be read into memory; what is not understood here is left to zipfile."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _END_SIZE - 65_535 - 20, 0))
        tail = file.read()
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or len(tail) - end < _END_SIZE:
            raise InputRefused(
                "unreadable_bytes", "the zip archive has no directory, so it was cut off; send it again"
            )
        count, length = struct.unpack("<HL", tail[end + 10 : end + 16])
        locator = tail[end - 20 : end]
        if locator.startswith(b"PK\x06\x07"):
            file.seek(min(int.from_bytes(locator[8:16], "little"), size))
            record = file.read(48)
            if len(record) == 48:
                count, length = struct.unpack("<QQ", record[32:48])
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise InputRefused(
            "too_large",
            f"the zip archive claims {count} members in a directory of {length} bytes; at most {MAX_MEMBERS} "
            f"members and {MAX_DIRECTORY} bytes are read: send several archives",
        )


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are rows: files, in archive order, without what file managers add."""
    members = [
        member for member in archive.infolist() if not member.is_dir() and not _is_clutter(member.filename)
    ]
    if len(members) > MAX_MEMBERS:
        raise InputRefused(
            "too_large", f"the zip archive has {len(members)} files; at most {MAX_MEMBERS} are read"
        )
    return members


def _is_clutter(name: str) -> bool:
    return name.startswith(_CLUTTER) or name.rsplit("/", 1)[-1] in _CLUTTER_NAMES


def _overlapping(archive: zipfile.ZipFile) -> set[int]:
    """Header offsets of members whose bytes run into the next member or the directory."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    limits = [*(member.header_offset for member in members[1:]), archive.start_dir]
    return {
        member.header_offset
        for member, limit in zip(members, limits, strict=True)
        if member.header_offset + _LOCAL_HEADER + member.compress_size > limit
    }


def _read(archive: zipfile.ZipFile, row: int, member: zipfile.ZipInfo) -> Member:
    if member.flag_bits & _ENCRYPTED:
        return _problem(row, member, "encrypted", "it is encrypted; zip it without a password")
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > MAX_MEMBER or (member.file_size > FREE_BYTES and ratio > MAX_RATIO):
        reason = (
            f"it unpacks to {member.file_size} bytes; a member may have {MAX_MEMBER} bytes and {MAX_RATIO} "
            "times its packed size"
        )
        return _problem(row, member, "too_large", reason)
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        method = f"compression method {member.compress_type} is not read; zip it with deflate"
        return _problem(row, member, "corrupt", method)
    try:
        with archive.open(member) as file:
            data = file.read(MAX_MEMBER + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        return _problem(row, member, "corrupt", f"it cannot be unpacked ({error})")
    if len(data) != member.file_size:
        return _problem(
            row, member, "corrupt", f"it has {len(data)} bytes, its entry says {member.file_size}"
        )
    return Member(_name(member), data, None)


def _problem(row: int, member: zipfile.ZipInfo, code: str, reason: str) -> Member:
    name = _name(member)
    message = f"the member {shown(name)!r} is not usable: {reason}"
    return Member(name, None, RowProblem(row, None, "file", shown(name), code, message))


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.encode("utf-8", "replace").decode()
