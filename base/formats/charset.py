"""Text in any encoding to the UTF-8 that the parsers read, and plain words when a head is not text at all."""

from __future__ import annotations

import codecs

from base.formats.types import InputRefused

# Names that Python calls encodings but no text file is written in.
_NOT_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What text holds: everything but the C0 controls other than tab, newline, form feed, return and escape.
_STRAY_CONTROLS = 8  # so many in a small file are dirt, not a sign that it is something else
_TEXT = bytes(code for code in range(256) if code >= 32 or code in {9, 10, 12, 13, 27})


def other_than_utf8(charset: str | None) -> str | None:
    """The codec to decode with, or None if the text is UTF-8 as it stands."""
    if charset is None:
        return None
    try:
        name = codecs.lookup(charset).name
        "a".encode(name)  # refuses codecs that do not stand for text, like zlib
    except (LookupError, ValueError):
        name = "undefined"
    if name in _NOT_CHARSETS:
        raise InputRefused(
            "unsupported_encoding",
            f"charset {charset!r} is not a text encoding known here; examples are latin-1, cp1252 and utf-16",
        )
    return None if name in {"utf-8", "utf-8-sig", "ascii"} else name


class Transcoder:
    """Decodes a stream of blocks and gives it back as UTF-8."""

    def __init__(self, charset: str) -> None:
        self._charset = charset
        self._decoder = codecs.getincrementaldecoder(charset)("strict")
        self._seen = 0

    def feed(self, data: bytes, *, final: bool) -> bytes:
        try:
            text = self._decoder.decode(data, final)
            self._seen += len(data)
            return text.encode()
        except UnicodeError as error:
            offset = self._seen + getattr(error, "start", 0)
            raise InputRefused(
                "unreadable_bytes",
                f"the bytes near offset {offset} are not {self._charset}; name the right one with charset=",
            ) from error


def utf8_head(head: bytes, charset: str | None, *, final: bool) -> bytes:
    """The head as UTF-8 text. Refuses what is not text, or not in the encoding named."""
    codec = other_than_utf8(charset)
    if codec is not None:
        return Transcoder(codec).feed(head, final=final)
    _refuse_wide_text(head)
    controls = len(head.translate(None, _TEXT))
    if controls > max(_STRAY_CONTROLS, len(head) / 100):
        raise InputRefused(
            "unknown_format",
            "the file is neither text nor a format known here; send CSV, JSON Lines, Parquet, zip or tar",
        )
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        decoder.decode(head, final)
    except UnicodeDecodeError as error:
        raise InputRefused(
            "unreadable_bytes",
            f"byte {head[error.start]:#04x} at offset {error.start} is not UTF-8; name the file's encoding "
            "with charset=, for example charset=cp1252 or charset=latin-1",
        ) from error
    return head


def _refuse_wide_text(head: bytes) -> None:
    """UTF-16 and UTF-32 by their byte order mark, or by the zero in every other byte."""
    found = next((name for bom, name in _BOMS if head.startswith(bom)), None)
    half = max(len(head) // 2, 1)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if found is None and max(even, odd) > 0.7 and min(even, odd) < 0.3:
        found = "utf-16-be" if even > odd else "utf-16-le"
    if found is not None:
        raise InputRefused(
            "unreadable_bytes", f"the text is {found.upper()}, not UTF-8; say so with charset={found}"
        )
