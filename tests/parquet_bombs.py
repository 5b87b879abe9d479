"""Parquet files that are small and claim, or become, far too much; pyarrow would never write the worst."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MAGIC = b"PAR1"
_STRUCT, _LIST_FIELD, _I32_FIELD, _I64_FIELD, _TEXT_FIELD = 12, 0x19, 0x15, 0x16, 0x18
_COLUMNS_A_GROUP = 900_000
_PAGE_ROWS = 20_000
_SKIPPED = (0x184D2A50).to_bytes(4, "little")


def footer_of_pieces(pieces: int) -> bytes:
    """A file of one column whose footer lists ``pieces`` column chunks, in 3 bytes each."""
    groups = -(-pieces // _COLUMNS_A_GROUP)
    piece = b"\x26\0\0"  # its offset, and nothing else
    group = bytes([_LIST_FIELD]) + _list(_COLUMNS_A_GROUP) + piece * _COLUMNS_A_GROUP
    group += bytes([_I64_FIELD, 0, _I64_FIELD, 0, 0])
    root = bytes([0x48, 1]) + b"r" + bytes([_I32_FIELD, 2, 0])
    column = bytes([_I32_FIELD, 2, 0x25, 0, _TEXT_FIELD, 1]) + b"a" + b"\0"
    footer = bytes([_I32_FIELD, 2, _LIST_FIELD]) + _list(2) + root + column + bytes([_I64_FIELD, 2])
    footer += bytes([_LIST_FIELD]) + _list(groups) + group * groups + b"\0"
    return MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC


def claiming(rows: int) -> bytes:
    """An honest file of 1,000 rows, one value, whose footer claims ``rows`` wherever it counts rows."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0] * 1000}), buffer, write_statistics=False, store_schema=False)
    content = buffer.getvalue()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8].replace(_varint(2000), _varint(2 * rows))
    return content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + MAGIC


def growing_page(columns: Sequence[str], frames: int = 120) -> bytes:
    """Columns of doubles whose only page becomes 16 MiB for each of ``frames``, 500 times its size."""
    numbers = np.random.default_rng(0).bytes(8 * _PAGE_ROWS)  # nothing that could be compressed
    table = pa.table({name: np.frombuffer(numbers, np.float64) for name in columns})
    buffer = io.BytesIO()
    options = {"use_dictionary": False, "write_statistics": False, "compression": "zstd"}
    pq.write_table(table, buffer, data_page_size=1 << 30, **options)
    content = bytearray(buffer.getvalue())
    group = pq.read_metadata(buffer).row_group(0)
    zeros = bytes(pa.compress(bytes(16 << 20), "zstd", asbytes=True)) * frames
    for number in range(len(columns)):
        start = group.column(number).data_page_offset
        _swell(content, start, group.column(number).total_compressed_size, zeros, frames * 16 << 20)
    return bytes(content)


def _swell(content: bytearray, start: int, size: int, body: bytes, grown: int) -> None:
    """Put another body, and its size, into a page; what is left of its room is a frame that zstd skips."""
    header = re.match(rb"\x15\0\x15([\x80-\xff]*[\0-\x7f])\x15([\x80-\xff]*[\0-\x7f])", content[start:])
    assert header
    rest = content[start + header.end() : start + size]
    packed = _number(header[2]) // 2
    told, extra = _varint(2 * grown), len(_varint(2 * grown)) - len(header[1])
    body = body + _SKIPPED + (packed - extra - len(body) - 8).to_bytes(4, "little")
    page = b"\x15\0\x15" + told + b"\x15" + _varint(2 * (packed - extra)) + rest[:-packed] + body
    content[start : start + size] = page.ljust(size, b"\0")


def repeated_text(columns: Sequence[str], rows: int = 1000, text_bytes: int = 32 << 20) -> bytes:
    """A file of some kilobytes: the same text in each cell, written once."""
    value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * text_bytes]))
    buffer = io.BytesIO()
    table = pa.table(dict.fromkeys(columns, value))
    pq.write_table(table, buffer, compression="zstd", write_statistics=False)
    return buffer.getvalue()


def _number(varint: bytes) -> int:
    return sum((byte & 127) << 7 * place for place, byte in enumerate(varint))


def _list(length: int) -> bytes:
    return bytes([length << 4 | _STRUCT]) if length < 15 else bytes([0xF0 | _STRUCT]) + _varint(length)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])
