"""zip archives: one row per file, in order, and a problem in place of each member that cannot be had."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import formats
from base.formats import InputRefused, Member, Span, archive
from tests.unit.base.formats import oracle


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zip") / "file.zip"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return bytearray(buffer.getvalue())


def members_of(
    path: Path, content: bytes | bytearray, chunk_rows: int = 2, max_chunk_bytes: int = 1 << 20
) -> list[Member]:
    path.write_bytes(content)
    shape = oracle.sniff(path)
    spans = list(formats.plan(path, shape, chunk_rows=chunk_rows, max_chunk_bytes=max_chunk_bytes))
    assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
    assert spans[-1].stop == shape.rows
    found = [list(formats.read_members(path, shape, span)) for span in spans]
    assert [len(members) for members in found] == [span.rows for span in spans]
    return [member for members in found for member in members]


@given(
    st.dictionaries(
        st.text(alphabet="abé/.", min_size=1, max_size=6).filter(lambda n: not n.endswith("/")),
        st.binary(max_size=40),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 4),
    st.integers(1, 100),
)
def test_every_member_once_and_in_order(
    scratch: Path, files: dict[str, bytes], rows: int, limit: int
) -> None:
    found = members_of(scratch, zipped(files), rows, limit)
    assert [(member.name, member.data, member.problem) for member in found] == [
        (name, data, None) for name, data in files.items()
    ]


def test_folders_and_the_clutter_of_file_managers_are_not_rows(scratch: Path) -> None:
    names = ["d/", "d/a.png", "__MACOSX/d/._a.png", "d/.DS_Store", "../../etc/passwd"]
    found = members_of(scratch, zipped(dict.fromkeys(names, b"x")))
    assert [member.name for member in found] == ["d/a.png", "../../etc/passwd"]


def codes(members: list[Member]) -> list[str | None]:
    assert all((member.data is None) == (member.problem is not None) for member in members)
    return [member.problem.code if member.problem else None for member in members]


def test_a_member_that_cannot_be_had_is_a_problem_of_its_row(scratch: Path) -> None:
    content = zipped({"a.png": b"a" * 99, "b.png": b"0123456789" * 9, "c.png": b"c" * 99})
    at = content.index(b"b.png") + 5
    content[at : at + 4] = b"\xff\xff\xff\xff"
    found = members_of(scratch, content)
    assert codes(found) == [None, "corrupt", None]
    assert found[1].problem is not None
    assert (found[1].problem.row, found[1].problem.value) == (1, "b.png")


def test_bombs_encryption_and_other_methods(scratch: Path) -> None:
    content = zipped({"bomb": bytes(5 << 20), "secret": b"x", "ok": b"y" * 99})
    content[content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4) + 8] |= 1
    assert codes(members_of(scratch, content)) == ["too_large", "encrypted", None]
    assert codes(members_of(scratch, zipped({"a": b"x" * 99}, zipfile.ZIP_LZMA))) == ["corrupt"]


def test_members_that_claim_the_same_bytes_are_refused(scratch: Path) -> None:
    content = zipped({"a": b"x" * 500, "b": b"x" * 500}, zipfile.ZIP_STORED)
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[second + 42 : second + 46] = (0).to_bytes(4, "little")
    assert set(codes(members_of(scratch, content))) == {"corrupt"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (zipped({"a": b"x"})[:-30], "unreadable_bytes"),
        (zipped({"d/": b""}), "empty_input"),
        (zipped({}), "empty_input"),
        (zipped({"[Content_Types].xml": b"x", "xl/workbook.xml": b"x"}), "unknown_format"),
        (zipped({"a": b"x"})[:-14] + struct.pack("<HHLLH", 65000, 65000, 200 << 20, 0, 0), "too_large"),
    ],
)
def test_archives_that_cannot_be_used_are_refused(
    scratch: Path, content: bytes | bytearray, code: str
) -> None:
    scratch.write_bytes(content)
    with pytest.raises(InputRefused) as refused:
        oracle.sniff(scratch)
    assert refused.value.code == code


def test_the_number_of_members_is_bounded(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.write_bytes(zipped({"a": b"x", "b": b"y", "c": b"z"}))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(InputRefused, match="3 members"):
        oracle.sniff(scratch)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_damage_is_a_refusal_or_a_problem(scratch: Path, at: int, flip: int) -> None:
    content = zipped({"a.png": b"text " * 20, "b.png": b"more " * 20})
    content[at % len(content)] ^= flip
    scratch.write_bytes(content)
    try:
        shape = oracle.sniff(scratch)
    except InputRefused:
        return
    if shape.format == "zip":
        found = list(formats.read_members(scratch, shape, Span(0, shape.rows or 0, shape.rows)))
        assert len(found) == shape.rows
