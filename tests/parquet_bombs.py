"""Parquet files that are small and claim, or become, far too much; pyarrow would never write the worst."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

MAGIC = b"PAR1"
_STRUCT, _LIST_FIELD, _I32_FIELD, _I64_FIELD, _TEXT_FIELD = 12, 0x19, 0x15, 0x16, 0x18
_COLUMNS_A_GROUP = 900_000


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


def _list(length: int) -> bytes:
    return bytes([length << 4 | _STRUCT]) if length < 15 else bytes([0xF0 | _STRUCT]) + _varint(length)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])
