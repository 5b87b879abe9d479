"""One member of an archive as its directory or header tells it, and the bounds that every member must keep.

The formats (zip, tar) make entries, the index stores them, reading takes them. No bytes of members here.
"""

from __future__ import annotations

from typing import NamedTuple

from base.formats.types import InputColumn

COLUMNS = (InputColumn("file", "string"),)

MAX_MEMBERS = 500_000
MAX_MEMBER = 64 << 20
# Images hardly compress further: a member above FREE_BYTES that grows more than this is a bomb.
MAX_RATIO = 200
FREE_BYTES = 4 << 20

STORED = 0
DEFLATED = 8


class Entry(NamedTuple):
    """Where a member lies, or why it cannot be had. Its fields are the columns of the index."""

    name: str
    offset: int  # zip: of the local header; tar: of the data
    packed: int  # bytes in the archive
    size: int  # bytes once unpacked, as the archive claims
    stop: int  # the first byte of the archive that is not this member's any more
    method: int
    crc: int | None  # of the unpacked bytes; tar has none
    name_crc: int | None  # zip: of the name's bytes, which the local header must repeat; tar: None
    code: str | None
    reason: str | None
