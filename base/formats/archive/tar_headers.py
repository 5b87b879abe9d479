"""One 512-byte header of a tar archive, and the records of a pax header. Where they lie is not known here.

Reads the old format (v7), ustar, GNU's numbers in base 256, and pax.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLOCK = 512

_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*\Z")
_USTAR = b"ustar\x00"


class BadHeader(Exception):
    """The block is no header, or says what no header can say."""


class Header(NamedTuple):
    """What a header says; ``name`` and ``target`` as bytes."""

    name: bytes
    size: int
    kind: bytes  # the type flag
    target: bytes  # of a link
    is_continued: bool  # GNU sparse: more of its map follows in blocks of their own


def looks_like_header(block: bytes) -> bool:
    """Whether a file with this first block is a tar, damaged or not."""
    if len(block) < BLOCK:
        return False
    # text may have the word at this place, but no zeros
    return (block[257:262] == b"ustar" and 0 in block) or (block[0] != 0 and _checksum_holds(block))


def parse(block: bytes) -> Header:
    """Read a header; raises BadHeader, with the reason, if its checksum or its size is wrong."""
    if not _checksum_holds(block):
        raise BadHeader("a header has a wrong checksum")
    name = _text(block[:100])
    if block[257:263] == _USTAR and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    return Header(name, _number(block[124:136]), block[156:157], _text(block[157:257]), block[482] != 0)


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """The records ``<length> <key>=<value>`` of a pax header; raises BadHeader."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        stop = at + int(digits) if digits.isdigit() else 0
        if not space < stop <= len(data) or data[stop - 1 : stop] != b"\n":
            raise BadHeader("a pax header is not made of records")
        key, _, value = data[space + 1 : stop - 1].partition(b"=")
        found[key] = value
        at = stop
    return found


def _checksum_holds(block: bytes) -> bool:
    """Compares the sum of the bytes; some old programs summed them as signed numbers."""
    match = _OCTAL.match(block[148:156])
    if match is None or not match[1]:
        return False
    claimed = int(match[1], 8)
    others = block[:148] + block[156:]
    total = sum(others) + 8 * ord(" ")
    return claimed == total or claimed == total - 256 * sum(byte > 127 for byte in others)


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise BadHeader("a header claims a negative size")
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    match = _OCTAL.match(field)
    if match is None:
        raise BadHeader("a header has a size that is no number")
    return int(match[1] or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
