"""What the first bytes of one file among several say of it: an image, an archive, a table, or nothing known.

Only magic bytes and the look of text. Whether an image is whole is for its decoder, what a table holds for
the sniffing of its format.
"""

from __future__ import annotations

from typing import Literal

from base.formats import compression
from base.formats.archive.tar_headers import BLOCK, looks_like_header

Content = Literal["image", "archive", "table"]

# So many bytes at the beginning of a file are enough for content_of.
HEAD_BYTES = 4096

_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",  # TIFF with 64-bit offsets
    b"MM\x00+",
)
# The sizes that the header of a BMP may have: two letters alone could begin any text.
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ\x00")
_TABLES = (b"PAR1", b"ARROW1")
_DELIMITERS = b",;\t|"
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f"))


def content_of(head: bytes) -> Content | None:
    """What a file is that begins with ``head``: HEAD_BYTES of it, or all of a shorter one."""
    if is_image(head):
        return "image"
    if head.startswith(_ARCHIVES) or compression.detect(head) or looks_like_header(head[:BLOCK]):
        return "archive"
    return "table" if head.startswith(_TABLES) or _is_text_table(head) else None


def is_image(head: bytes) -> bool:
    """Whether a file begins as JPEG, PNG, GIF, BMP, TIFF or WebP do."""
    return (
        head.startswith(_IMAGES)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS)
    )


def _is_text_table(head: bytes) -> bool:
    """Whether it looks like JSON Lines or CSV: a second line is cut as the first one is."""
    if any(byte in head for byte in _CONTROLS):
        return False
    lines = head.splitlines()[:2]
    if head.lstrip().startswith(b"{"):
        return True
    return len(lines) == 2 and any(
        0 < lines[0].count(delimiter) == lines[1].count(delimiter) for delimiter in _DELIMITERS
    )
