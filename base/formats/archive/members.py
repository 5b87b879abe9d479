"""The bytes of the members of one span, each within bounds; a member that cannot be had is its row's problem.

Reads the ranges that the index names from the stored archive, and believes neither: the local header of a
zip must repeat what its directory said, and what is unpacked must have the size and checksum that were
claimed. Nothing is written to disk. What a picture is, is not known here.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from base.formats.archive import index, tar_headers
from base.formats.archive.entries import DEFLATED, MAX_MEMBER, Entry
from base.formats.archive.zip_directory import MAGICS
from base.formats.archive.zip_entries import ENCRYPTED
from base.formats.types import Member, RowProblem, Span, shown

_LOCAL = struct.Struct("<4s5H3L2H")
_IN_EXTRA = 0xFFFFFFFF
_SIZES_FOLLOW = 0x8
_BLOCK = 256 << 10
_RAW_DEFLATE = -15

_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!")
# What the first file in a zip is called that is a document or a program to its user, not an archive.
_DOCUMENTS = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"mimetype", b"META-INF/")


class _Unusable(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.code, self.reason = code, reason


def read_members(
    path: Path, index_path: Path, span: Span, *, max_member_bytes: int = MAX_MEMBER
) -> Iterator[Member]:
    """The members of ``span`` in archive order; one at a time is in memory."""
    with path.open("rb", buffering=0) as file:
        for row, entry in enumerate(index.read(index_path, span.start, span.stop)):
            try:
                member = Member(entry.name, _read(file.fileno(), entry, max_member_bytes), None)
            except _Unusable as bad:
                message = f"the member {shown(entry.name)!r} is not usable: {bad.reason}"
                problem = RowProblem(row, None, "file", shown(entry.name), bad.code, message)
                member = Member(entry.name, None, problem)
            yield member


def _read(file: int, entry: Entry, max_bytes: int) -> bytes:
    if entry.code is not None:
        raise _Unusable(entry.code, entry.reason or entry.code)
    if entry.size > max_bytes:
        raise _Unusable("too_large", f"it has {entry.size} bytes; at most {max_bytes} are read here")
    start = entry.offset if entry.name_crc is None else _behind_local_header(file, entry)
    if start + entry.packed > entry.stop:
        raise _Unusable("overlapping", "its bytes run into another member or into the directory")
    data = _inflate(file, start, entry) if entry.method == DEFLATED else os.pread(file, entry.packed, start)
    if len(data) != entry.size:
        raise _Unusable("corrupt", f"it has {len(data)} bytes, its entry says {entry.size}")
    if entry.crc is not None and zlib.crc32(data) != entry.crc:
        raise _Unusable("corrupt", "its bytes do not have the checksum that the archive says; zip it again")
    if _is_archive(data):
        raise _Unusable(
            "nested_archive", "it is an archive or a compressed file itself; put its files in directly"
        )
    return data


def _behind_local_header(file: int, entry: Entry) -> int:
    """Where the data of a zip's member begin; its local header must say what the directory says."""
    header = os.pread(file, _LOCAL.size, entry.offset)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise _Unusable("corrupt", "no member begins where the directory says")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(header)
    name = os.pread(file, name_length, entry.offset + _LOCAL.size)
    if flags & ENCRYPTED or method != entry.method or zlib.crc32(name) != entry.name_crc:
        raise _Unusable("corrupt", "its own header and the archive's directory disagree")
    told = ((crc, entry.crc), (packed, entry.packed), (size, entry.size))
    if not flags & _SIZES_FOLLOW and any(own not in (other, 0, _IN_EXTRA) for own, other in told):
        raise _Unusable("corrupt", "its own header and the archive's directory disagree on its size")
    return entry.offset + _LOCAL.size + int(name_length) + int(extra_length)


def _inflate(file: int, start: int, entry: Entry) -> bytes:
    """Unpack as many bytes as are claimed and not one more."""
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    data = bytearray()
    at, stop = start, start + entry.packed
    while not inflater.eof:
        block = inflater.unconsumed_tail
        if not block:
            block = os.pread(file, min(stop - at, _BLOCK), at)
            at += len(block)
        try:
            part = inflater.decompress(block, entry.size + 1 - len(data))
        except zlib.error as error:
            raise _Unusable("corrupt", f"it cannot be unpacked ({error})") from error
        data += part
        if len(data) > entry.size:
            raise _Unusable("corrupt", f"it unpacks to more than the {entry.size} bytes that it claims")
        if not block and not part:
            raise _Unusable("corrupt", f"it ends after {len(data)} of {entry.size} bytes")
    if at < stop or inflater.unused_data:
        raise _Unusable("corrupt", "its packed bytes go on behind their end")
    return bytes(data)


def _is_archive(data: bytes) -> bool:
    if data.startswith(MAGICS):
        first_name = data[_LOCAL.size : _LOCAL.size + 32]
        return not first_name.startswith(_DOCUMENTS)
    return data.startswith(_PACKED) or tar_headers.looks_like_header(data[: tar_headers.BLOCK])
