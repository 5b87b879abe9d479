"""The directory of a zip archive, read as a stream: one record at a time, whatever their number.

Python's zipfile builds an object of 500 bytes for each member, which a chunk of fifty images cannot afford
for all fifty thousand. What the records mean for a row is not decided here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from base.formats.archive.entries import MAX_MEMBERS
from base.formats.archive.names import decoded
from base.formats.types import InputRefused

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
MAX_DIRECTORY = 128 << 20

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_RECORD = struct.Struct("<4s2B5H3L5H2L")
_IN_EXTRA = 0xFFFFFFFF  # the true number stands in the zip64 extra field
_BLOCK = 1 << 20
_LONGEST = _RECORD.size + 3 * 0xFFFF
_UTF8 = 0x800
_UNIX = (3, 19)  # the second is macOS


class Directory(NamedTuple):
    """Where the directory lies, and how many records it claims to have (modulo 65,536 if not zip64)."""

    start: int
    length: int
    members: int
    is_zip64: bool


class Record(NamedTuple):
    """One record of the directory, every number as claimed."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    unix_mode: int  # 0 where the archive was not made on Unix


def find(path: Path) -> Directory:
    """Find the directory. Raises InputRefused if there is none, or if it is too large to be walked."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _END.size - 0xFFFF - _LOCATOR.size, 0))
        tail_at = file.tell()
        tail = file.read()
        at = _end_record(tail)
        _, disk, first_disk, _, members, length, start, _ = _END.unpack_from(tail, at)
        end, is_zip64 = tail_at + at, False
        if at >= _LOCATOR.size and tail.startswith(b"PK\x06\x07", at - _LOCATOR.size):
            end, members, length, start = _zip64(file, tail[at - _LOCATOR.size : at])
            is_zip64 = True
    if disk not in (0, 0xFFFF) or first_disk not in (0, 0xFFFF):
        raise _damaged("it is one part of a split archive")
    if members > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise InputRefused(
            "too_large",
            f"the zip archive claims {members} members in a directory of {length} bytes; at most "
            f"{MAX_MEMBERS} members and {MAX_DIRECTORY} bytes are read: send several archives",
        )
    if start + length != end:
        raise _damaged("its directory is not where it says, so something was put in front of it or cut out")
    return Directory(start, length, members, is_zip64)


def walk(path: Path, directory: Directory) -> Iterator[Record]:
    """Every record in order. Raises InputRefused at the first that is none, or if their number is a lie."""
    count = 0
    for record in _records(path, directory):
        count += 1
        if count > MAX_MEMBERS:
            raise InputRefused("too_large", f"the zip archive has more than {MAX_MEMBERS} members; split it")
        yield record
    if directory.members != (count if directory.is_zip64 else count & 0xFFFF):
        raise _damaged(f"its directory claims {directory.members} members and has {count}")


def _end_record(tail: bytes) -> int:
    """Where the end record stands: the last one whose comment ends with the file, else the last one."""
    last = at = tail.rfind(b"PK\x05\x06", 0, max(len(tail) - _END.size + 4, 0))
    while at >= 0:
        if at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            return at
        at = tail.rfind(b"PK\x05\x06", 0, at + 3)
    if last < 0:
        raise InputRefused(
            "unreadable_bytes", "the zip archive has no directory, so it was cut off; send it again"
        )
    return last


def _zip64(file: BinaryIO, locator: bytes) -> tuple[int, int, int, int]:
    """Position of the zip64 end record, and its members, length and start."""
    _, _, at, _ = _LOCATOR.unpack(locator)
    file.seek(min(at, 1 << 62))
    record = file.read(_END64.size)
    if len(record) < _END64.size or not record.startswith(b"PK\x06\x06"):
        raise _damaged("its zip64 end record is missing")
    *_, members, length, start = _END64.unpack(record)
    return at, members, length, start


def _records(path: Path, directory: Directory) -> Iterator[Record]:
    with path.open("rb") as file:
        file.seek(directory.start)
        left, buffer, at = directory.length, b"", 0
        while left or at < len(buffer):
            if left and len(buffer) - at < _LONGEST:
                block = file.read(min(left, _BLOCK))
                buffer, at, left = buffer[at:] + block, 0, left - len(block)
            record, at = _record(buffer, at)
            yield record


def _record(buffer: bytes, at: int) -> tuple[Record, int]:
    if len(buffer) - at < _RECORD.size or not buffer.startswith(b"PK\x01\x02", at):
        raise _damaged("its directory holds something else than members")
    (
        _, _, system, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length,
        _, _, attributes, offset,
    ) = _RECORD.unpack_from(buffer, at)  # fmt: skip
    name_at = at + _RECORD.size
    extra_at = name_at + name_length
    stop = extra_at + extra_length + comment_length
    if stop > len(buffer):
        raise _damaged("its directory ends in the middle of a member")
    raw_name = buffer[name_at:extra_at]
    extra = buffer[extra_at : extra_at + extra_length]
    if _IN_EXTRA in (size, packed, offset):
        size, packed, offset = _large(extra, (size, packed, offset))
    on_unix = system in _UNIX
    unix_mode = attributes >> 16 if on_unix else 0
    name = _name(raw_name, flags, extra, on_unix=on_unix)
    return Record(raw_name, name, flags, method, crc, packed, size, offset, unix_mode), stop


def _large(extra: bytes, numbers: tuple[int, int, int]) -> tuple[int, int, int]:
    """The numbers that did not fit into 32 bits, in the order of the format."""
    field = _field(extra, 0x0001)
    if field is None:
        return numbers
    wanted = [place for place, number in enumerate(numbers) if number == _IN_EXTRA]
    if len(field) < 8 * len(wanted):
        raise _damaged("a zip64 extra field is too short")
    found = list(numbers)
    for place, number in zip(wanted, struct.unpack_from(f"<{len(wanted)}Q", field), strict=True):
        found[place] = number
    return found[0], found[1], found[2]


def _name(raw: bytes, flags: int, extra: bytes, *, on_unix: bool) -> str:
    """The name in the encoding that the record names: UTF-8 by flag or extra field, else code page 437.

    Linux' own ``zip`` writes UTF-8 and says nothing of it, so what Unix made and is UTF-8 is taken as such.
    """
    if raw.isascii():
        return raw.decode("ascii")
    if flags & _UTF8:
        return decoded(raw)
    unicode_path = _field(extra, 0x7075)  # what Info-ZIP writes: version, checksum of the raw name, UTF-8
    if unicode_path and unicode_path[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        return decoded(unicode_path[5:])
    if on_unix:
        with suppress(UnicodeDecodeError):
            return raw.decode()
    return raw.decode("cp437")


def _field(extra: bytes, wanted: int) -> bytes | None:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return None


def _damaged(what: str) -> InputRefused:
    return InputRefused(
        "unreadable_bytes", f"the zip archive is damaged: {what}; zip and send the files again"
    )
