"""Which format a file is, by magic bytes and content, whatever its name; then that format's own sniffing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from base.formats import compression, csv_sniff, jsonl, parquet
from base.formats.archive import tar_entries, tar_headers, zip_directory, zip_entries
from base.formats.charset import other_than_utf8, utf8_head
from base.formats.content import is_image
from base.formats.csv_format import BOM
from base.formats.types import CsvOptions, InputRefused, InputShape

HEAD = 1 << 20
# A text of this size without a single newline was a text with newlines once.
_ONE_LINE = 1 << 16
_NUMBER = re.compile(rb"[+-]?[0-9]+(\.[0-9]*)?\Z")

# Files that people send by mistake, and what to do instead.
_KNOWN = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save it as CSV"),
    (b"ARROW1", "an Arrow or Feather file; write it as Parquet"),
    (b"Obj\x01", "an Avro file; write it as Parquet"),
    (b"ORC", "an ORC file; write it as Parquet"),
    (b"BZh", "compressed with bzip2; use gzip or zstd"),
    (b"\xfd7zXZ\x00", "compressed with xz; use gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; send images as zip or tar"),
    (b"Rar!", "a rar archive; send images as zip or tar"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"\x89HDF", "an HDF5 file; write it as Parquet"),
    (b"\x93NUMPY", "a NumPy array; write it as CSV or Parquet"),
    (b"\x80\x04\x95", "a pickle; data are sent as CSV, JSON Lines or Parquet"),
)


def sniff(path: Path, csv: CsvOptions, *, max_decoded_bytes: int) -> InputShape:
    """The shape of the file at ``path``, from its head (1 MiB decoded), footer or directory."""
    with path.open("rb") as file:
        packed = compression.detect(file.read(8))
    with compression.open_decoded(path, packed, max_decoded_bytes=max_decoded_bytes) as stream:
        head = stream.read(HEAD + 1)
    head, final = head[:HEAD], len(head) <= HEAD
    if not head.strip():
        raise InputRefused("empty_input", "the file is empty; did the upload send the file you meant?")
    if head.startswith(parquet.MAGIC):
        return parquet.sniff(path, packed, max_decoded_bytes=max_decoded_bytes)
    if head.startswith(zip_directory.MAGICS) and packed is None:
        return zip_entries.sniff(path)
    if tar_headers.looks_like_header(head[: tar_headers.BLOCK]) or not head.strip(b"\0"):
        shape = tar_entries.sniff(head, final=final)
        return replace(shape, compression=packed, needs_decoding=packed is not None)
    _refuse_known(head)
    shape = _sniff_text(utf8_head(head, csv.charset, final=final), csv, final=final)
    recoded = other_than_utf8(csv.charset) is not None
    return replace(shape, compression=packed, needs_decoding=packed is not None or recoded)


def looks_newline_stripped(head: bytes) -> bool:
    """Whether the text is one line that was several: what ``curl -d @file`` makes of a file.

    For callers who know that the body came as a form, a body without any newline is reason enough.
    """
    body = head.removeprefix(BOM).strip()
    if b"\n" in body or b"\r" in body:
        return False
    if body.startswith(b"{"):
        return _several_objects(body)
    if len(body) >= _ONE_LINE or b"%0A" in body or b"%0a" in body:
        return True
    fields = re.split(rb"[,;\t|]", body)
    numbers = [_NUMBER.match(field.strip()) is not None for field in fields]
    return len(fields) > 2 and not numbers[0] and any(numbers)


def newlines_stripped() -> InputRefused:
    return InputRefused(
        "newlines_stripped",
        "the text has no newline: curl -d @file strips them; use curl --data-binary @file or curl -T file",
    )


def _several_objects(body: bytes) -> bool:
    """Whether a second JSON object begins where the first ends."""
    text = body.decode("utf-8", "replace")
    try:
        _, stop = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[stop:].lstrip().startswith("{")


def _sniff_text(head: bytes, options: CsvOptions, *, final: bool) -> InputShape:
    body = head.removeprefix(BOM).lstrip()
    if not body:
        raise InputRefused("empty_input", "the file holds nothing but blanks")
    if (options.header or body.startswith(b"{")) and looks_newline_stripped(head):
        raise newlines_stripped()
    if re.match(rb"\[\s*[\[{]|\[\s*\Z|\[\s*\n", body):
        raise InputRefused(
            "unknown_format",
            "this is a JSON array; JSON Lines has one object per line, for example "
            "df.to_json(path, orient='records', lines=True)",
        )
    if re.match(rb"<[!?a-zA-Z]", body):  # a text may begin with a heart, <3
        raise InputRefused(
            "unknown_format", "this is HTML or XML; send CSV, JSON Lines, Parquet or a zip or tar of images"
        )
    if body.startswith(b"{"):
        return jsonl.sniff(head, options, final=final)
    return csv_sniff.sniff(head, options, final=final)


def _refuse_known(head: bytes) -> None:
    if compression.detect(head) is not None or head.startswith(zip_directory.MAGICS):
        raise InputRefused(
            "unknown_format", "the file is compressed twice; send it compressed once, or plain"
        )
    if is_image(head):
        raise InputRefused(
            "unknown_format",
            "the body is a single image; POST it to /predict, or send images as a form "
            "(curl -F image=@a.png -F image=@b.png) or an archive to make them a job",
        )
    for magic, what in _KNOWN:
        if head.startswith(magic):
            raise InputRefused("unknown_format", f"the file is {what}")
