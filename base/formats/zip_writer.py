"""Writing a zip as its members arrive: stored, never compressed, each block once, nothing sought.

The same members give the same bytes: times are fixed, and a member's size and checksum stand behind its bytes
and in the directory, so that they need not be known before. Names are written as they come, twice if they
come twice; what a name means is decided by those who read the archive.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Protocol

from base.formats.types import InputRefused, shown

MAX_NAME_BYTES = 4096
# A member that needs 64-bit sizes would have to say so before its first byte.
MAX_MEMBER_BYTES = 0xFFFF_FFFE

_STORED = 0
_PLAIN, _ZIP64 = 20, 45  # the version of the format that a reader needs: 2.0, or 4.5 for 64-bit offsets
_UNIX = 3 << 8
_SIZES_FOLLOW, _UTF8 = 0x0008, 0x0800
_FLAGS = _SIZES_FOLLOW | _UTF8
_TIME, _DATE = 0, 0x21  # 1980-01-01, the first day that a zip can name
_REGULAR_FILE = 0o100644 << 16
_IN_64_BITS = 0xFFFF_FFFF
_MANY = 0xFFFF


class Sink(Protocol):
    """Where the bytes go."""

    def write(self, block: bytes, /) -> int: ...


class ZipWriter:
    """Appends members to ``out``, then the directory, which it holds until then."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._directory = bytearray()
        self._count = 0
        self._position = 0

    def add(self, name: str, blocks: Iterable[bytes]) -> None:
        """Append a member. Raises InputRefused ``too_large`` for more name or bytes than one can have."""
        encoded = name.encode()
        if len(encoded) > MAX_NAME_BYTES:
            text = (
                f"the file name {shown(name)!r}… has {len(encoded)} bytes; at most {MAX_NAME_BYTES} are kept"
            )
            raise InputRefused("too_large", text)
        start = self._position
        head = (_PLAIN, _FLAGS, _STORED, _TIME, _DATE, 0, 0, 0, len(encoded), 0)
        self._write(struct.pack("<4s5H3I2H", b"PK\x03\x04", *head) + encoded)
        crc, size = self._write_member(name, blocks)
        self._write(struct.pack("<4s3I", b"PK\x07\x08", crc, size, size))
        self._list(encoded, start, crc, size)

    def _write_member(self, name: str, blocks: Iterable[bytes]) -> tuple[int, int]:
        crc = size = 0
        for block in blocks:
            crc = zlib.crc32(block, crc)
            size += len(block)
            if size > MAX_MEMBER_BYTES:
                raise InputRefused("too_large", f"{shown(name)!r} has more than {MAX_MEMBER_BYTES} bytes")
            self._write(block)
        return crc, size

    def _list(self, name: bytes, start: int, crc: int, size: int) -> None:
        """Enter a member into the directory."""
        far = start >= _IN_64_BITS
        extra = struct.pack("<2HQ", 1, 8, start) if far else b""
        needed = _ZIP64 if far else _PLAIN
        entry = (
            _UNIX | needed,
            needed,
            _FLAGS,
            _STORED,
            _TIME,
            _DATE,
            crc,
            size,
            size,
            len(name),
            len(extra),
        )
        place = (0, 0, 0, _REGULAR_FILE, _IN_64_BITS if far else start)
        self._directory += struct.pack("<4s6H3I2H3H2I", b"PK\x01\x02", *entry, *place) + name + extra
        self._count += 1

    def finish(self) -> None:
        """Write the directory; nothing can be added after it."""
        start, length = self._position, len(self._directory)
        self._write(bytes(self._directory))
        if start + length >= _IN_64_BITS or self._count >= _MANY:
            self._write_zip64_end(start, length)
        count = min(self._count, _MANY)
        end = (0, 0, count, count, min(length, _IN_64_BITS), min(start, _IN_64_BITS), 0)
        self._write(struct.pack("<4s4H2IH", b"PK\x05\x06", *end))

    def _write_zip64_end(self, start: int, length: int) -> None:
        position = self._position
        end = (44, _UNIX | _ZIP64, _ZIP64, 0, 0, self._count, self._count, length, start)
        self._write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", *end))
        self._write(struct.pack("<4sIQI", b"PK\x06\x07", 0, position, 1))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._position += len(data)
