"""A walk over the headers of a tar archive: where each file lies, and which members are bad rows and why.

Only headers are read, so the walk costs what the number of members costs, not their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from base.formats.archive.entries import COLUMNS, MAX_MEMBERS, STORED, Entry
from base.formats.archive.names import decoded, is_clutter, printable
from base.formats.archive.tar_headers import BLOCK, BadHeader, Header, looks_like_header, parse, pax_records
from base.formats.types import InputRefused, InputShape, shown

# Long names and pax records are headers too; more than this many blocks of them is no image set.
MAX_HEADERS = 4 * MAX_MEMBERS
MAX_METADATA = 1 << 20
_SCAN = 1 << 20
_NOTHING = bytes(BLOCK)

_FILES = (b"0", b"\0", b"7")
_SPARSE = b"S"
_IS_SPARSE = b"GNU.sparse."
_NO_ROWS = (b"5", b"D", b"V")  # folders, GNU's lists of a folder, labels
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
_SPECIAL = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a fifo"}


def sniff(head: bytes, *, final: bool) -> InputShape:
    """The shape of a tar with this head; ``final`` if nothing follows. How many rows it has is not known."""
    if not head.strip(b"\0"):
        raise InputRefused(
            "empty_input", "the file begins with zeros only: an empty tar archive, or bytes that were lost"
        )
    walk = TarWalk(lambda size, at: head[at : at + size], len(head), is_whole=final)
    sizes = [entry.size for entry in walk.entries()]
    if final and not sizes:
        raise InputRefused("empty_input", "the tar archive holds no files")
    mean = sum(sizes) / len(sizes) if sizes else float(len(head))
    return InputShape(
        format="tar", compression=None, columns=COLUMNS, rows=None, bytes_per_row=max(mean, 1.0)
    )


class TarWalk:
    """One pass over an archive of ``size`` bytes; ``read_at(count, at)`` gives fewer at the end only.

    An archive that is not whole may end anywhere: it is the head of one that goes on.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], size: int, *, is_whole: bool) -> None:
        self._read_at, self._size, self._is_whole = read_at, size, is_whole
        self._at = 0
        self._headers = 0
        self._has_ended = False
        self._last = ""
        self.notes: list[str] = []  # what its user should know of the archive, once the walk is over

    def _read(self, count: int, at: int) -> bytes:
        return self._read_at(count, at) if at < self._size else b""

    def entries(self) -> Iterator[Entry]:
        """The members that are rows, in order.

        Raises InputRefused where a header is damaged, and where the archive ends without its end mark and
        there is no row that could say so.
        """
        extended: dict[bytes, bytes] = {}
        entry = None
        while header := self._next_header():
            if header.kind in (b"L", b"K", b"x", b"g"):
                records = self._metadata(header)
                if records is None:
                    break
                extended |= records
                continue
            entry = self._entry(header, extended)
            extended = {}
            if entry:
                yield entry
        if entry and entry.code == "truncated":
            self.notes.append(
                f"The tar archive was cut off within {shown(self._last)!r}: what followed it is missing."
            )
        elif self._is_whole and not self._has_ended:
            raise self._damaged(BadHeader("it has no end mark, so it was cut off"))

    def _next_header(self) -> Header | None:
        block = self._read(BLOCK, self._at)
        if block == _NOTHING:
            self._has_ended = True
            block = self._behind_zeros()
        if len(block) < BLOCK:
            return None
        self._headers += 1
        if self._headers > MAX_HEADERS:
            raise InputRefused("too_large", f"the tar archive has more than {MAX_HEADERS} headers; split it")
        if self._has_ended and not looks_like_header(block):
            self.notes.append("Bytes behind the end mark of the tar archive were not read.")
            return None
        self._has_ended = False  # a second archive was put behind the first
        try:
            return parse(block)
        except BadHeader as error:
            raise self._damaged(error) from error

    def _behind_zeros(self) -> bytes:
        """The next block that holds anything; fewer than :data:`BLOCK` bytes if there is none."""
        while block := self._read(_SCAN, self._at):
            zeros = len(block) - len(block.lstrip(b"\0"))
            if zeros < len(block):
                self._at += zeros // BLOCK * BLOCK
                return self._read(BLOCK, self._at)
            self._at += len(block)
        return b""

    def _metadata(self, header: Header) -> dict[bytes, bytes] | None:
        """What a header that describes the next one says, by pax keys; None if it is cut off."""
        if header.size > MAX_METADATA:
            raise self._damaged(BadHeader(f"a header is followed by {header.size} bytes of names"))
        data = self._read(header.size, self._at + BLOCK)
        if len(data) < header.size:
            return None
        try:
            records = _records(header.kind, data)
        except BadHeader as error:
            raise self._damaged(error) from error
        self._at += BLOCK + _padded(header.size)
        return records

    def _entry(self, header: Header, extended: dict[bytes, bytes]) -> Entry | None:
        name = decoded(extended.get(b"GNU.sparse.name") or extended.get(b"path", header.name))
        size = self._true_size(header, extended)
        start = self._at + BLOCK
        if header.kind == _SPARSE and header.is_continued:
            start = self._behind_map(start)
        self._at = start if header.kind in _WITHOUT_DATA else start + _padded(size)
        self._last = printable(name)
        is_folder = header.kind in _NO_ROWS or (header.kind == b"\0" and name.endswith("/"))
        if is_folder or is_clutter(name):
            return None
        code, reason = self._fault(header, extended, start, size) or (None, None)
        size = min(size, self._size)  # a lie may not fit into the index
        return Entry(name, start, size, size, start + size, STORED, None, None, code, reason)

    def _true_size(self, header: Header, extended: dict[bytes, bytes]) -> int:
        claimed = extended.get(b"size")
        if claimed is None:
            return header.size
        if not claimed.isdigit() or len(claimed) > 18:
            raise self._damaged(BadHeader("a pax header has a size that is no number"))
        return int(claimed)

    def _behind_map(self, at: int) -> int:
        """Skip the blocks in which GNU tar goes on with the map of a sparse file."""
        while True:
            block = self._read(BLOCK, at)
            at += BLOCK
            if len(block) < BLOCK or not block[504]:
                return at

    def _fault(
        self, header: Header, extended: dict[bytes, bytes], start: int, size: int
    ) -> tuple[str, str] | None:
        if special := _SPECIAL.get(header.kind):
            return "not_a_file", f"it is {special}; put the file itself into the archive"
        if header.kind == _SPARSE or _IS_SPARSE in extended:
            return "unsupported_method", "it is stored as a sparse file; make the archive without --sparse"
        if header.kind not in _FILES:
            return "not_a_file", f"it is of a kind that is not read (type {decoded(header.kind)!r})"
        if start + size > self._size:
            there = max(self._size - start, 0)
            return "truncated", (
                f"the archive ends in the middle of it, with {there} of its {size} bytes, "
                "and what followed is missing"
            )
        return None

    def _damaged(self, error: BadHeader) -> InputRefused:
        where = f"behind {shown(self._last)!r}" if self._last else "at its start"
        return InputRefused(
            "unreadable_bytes",
            f"the tar archive is damaged {where} ({error}, at byte {self._at}); make and send it again",
        )


def _records(kind: bytes, data: bytes) -> dict[bytes, bytes]:
    """What is wanted of the bytes behind a header, and no more: a member may have any number of them.

    Nothing is taken from records for all members to come, nor from the long targets of links.
    """
    if kind == b"L":
        return {b"path": data.split(b"\0", 1)[0]}
    if kind != b"x":
        return {}
    records = pax_records(data)
    if any(key.startswith(b"GNU.sparse.") for key in records):
        records[_IS_SPARSE] = b""
    return {key: records[key] for key in (b"path", b"size", b"GNU.sparse.name", _IS_SPARSE) if key in records}


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
