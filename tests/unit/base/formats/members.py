"""Archives through the doors as planning and chunks use them: sniff, index, spans, members."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from base import formats
from base.formats import Indexed, InputShape, Member
from tests.unit.base.formats import oracle

# Bytes of members that are no archive themselves.
DATA = st.binary(min_size=1, max_size=1200).map(lambda data: b"." + data)


def never_stops() -> None:
    """No lease that could be lost."""


def indexed(path: Path, shape: InputShape) -> tuple[Path, Indexed]:
    """Decode the archive where it must be, and write its index beside it."""
    if shape.needs_decoding:
        with path.with_suffix(".decoded").open("wb") as out:
            formats.decode(path, out, shape, max_decoded_bytes=oracle.NO_LIMIT)
    index = path.with_suffix(".members")
    return index, formats.write_index(readable(path, shape), shape, index, never_stops)


def readable(path: Path, shape: InputShape) -> Path:
    return path.with_suffix(".decoded") if shape.needs_decoding else path


def members_of(
    path: Path, content: bytes | bytearray, chunk_rows: int = 2, max_chunk_bytes: int = 1 << 20
) -> list[Member]:
    """Every row of an archive, read span by span."""
    path.write_bytes(content)
    shape = oracle.sniff(path)
    index, found = indexed(path, shape)
    assert shape.rows in (None, found.rows)
    spans = list(formats.plan_members(index, chunk_rows, max_chunk_bytes))
    assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
    assert spans[-1].stop == found.rows
    rows = [list(formats.read_members(readable(path, shape), index, span)) for span in spans]
    assert [len(members) for members in rows] == [span.rows for span in spans]
    return [member for members in rows for member in members]


def codes(members: list[Member]) -> list[str | None]:
    """The code of each row, None of a good one; a bad row says its name and has no bytes."""
    for member in members:
        assert (member.data is None) == (member.problem is not None)
        assert member.problem is None or repr(member.problem.value)[1:-1] in member.problem.message
    return [member.problem.code if member.problem else None for member in members]
