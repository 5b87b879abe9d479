"""zip archives: one row per file, in order, and a problem in place of each member that cannot be had."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import formats
from base.formats import InputRefused, Span
from base.formats.archive import zip_directory
from tests.unit.base.formats import oracle
from tests.unit.base.formats.members import DATA, codes, indexed, members_of


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zip") / "file.zip"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return bytearray(buffer.getvalue())


def record_of(content: bytearray, number: int) -> int:
    """Where the directory's record of a member lies."""
    at = content.index(b"PK\x01\x02")
    for _ in range(number):
        at = content.index(b"PK\x01\x02", at + 4)
    return at


def put(content: bytearray, at: int, number: int, size: int = 4) -> bytearray:
    content[at : at + size] = number.to_bytes(size, "little")
    return content


NAMES = st.text(alphabet="abé/.", min_size=1, max_size=6).filter(
    lambda name: not name.endswith("/") and not name.startswith("/") and ".." not in name and "._" not in name
)


def same_file(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


@given(
    st.lists(
        st.tuples(NAMES, DATA),
        min_size=1,
        max_size=9,
        unique_by=lambda m: same_file(m[0]),
    ),
    st.integers(1, 4),
    st.integers(1, 100),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_every_member_once_and_in_order(
    scratch: Path, files: list[tuple[str, bytes]], rows: int, limit: int, method: int
) -> None:
    found = members_of(scratch, zipped(dict(files), method), rows, limit)
    assert [(member.name, member.data, member.problem) for member in found] == [
        (name, data, None) for name, data in files
    ]


def test_folders_and_the_clutter_of_file_managers_are_not_rows(scratch: Path) -> None:
    names = ["d/", "d/a.png", "__MACOSX/d/._a.png", "d/.DS_Store", "d/._b.png"]
    found = members_of(scratch, zipped(dict.fromkeys(names, b"x")))
    assert [member.name for member in found] == ["d/a.png"]


def test_a_member_that_cannot_be_unpacked_is_a_problem_of_its_row(scratch: Path) -> None:
    content = zipped({"a.png": b"a" * 99, "b.png": b"0123456789" * 9, "c.png": b"c" * 99})
    put(content, content.index(b"b.png") + 5, 0xFFFFFFFF)
    found = members_of(scratch, content)
    assert codes(found) == [None, "corrupt", None]
    assert found[1].problem is not None
    assert (found[1].problem.row, found[1].problem.value) == (1, "b.png")


def test_bombs_encryption_and_other_methods(scratch: Path) -> None:
    content = zipped({"bomb": bytes(5 << 20), "secret": b"x", "ok": b"y" * 99, "none": b""})
    content[record_of(content, 1) + 8] |= 1
    assert codes(members_of(scratch, content)) == ["decompression_bomb", "encrypted", None, "empty_member"]
    found = members_of(scratch, put(content, record_of(content, 0) + 10, 9, 2))
    assert codes(found) == ["unsupported_method", "encrypted", None, "empty_member"]
    assert found[0].problem
    assert "Deflate64" in found[0].problem.message
    assert "zip it with deflate" in found[0].problem.message


def test_an_archive_of_which_nothing_can_be_read_is_refused(scratch: Path) -> None:
    scratch.write_bytes(zipped({"a": b"x" * 99, "b": b"y"}, zipfile.ZIP_LZMA))
    with pytest.raises(InputRefused, match="2 of 2: it is compressed with LZMA") as refused:
        oracle.sniff(scratch)
    assert refused.value.code == "unsupported_method"
    content = zipped({"d/": b"", "a": b"x", "b": b"y"})
    for number in range(3):
        content[record_of(content, number) + 8] |= 1
    scratch.write_bytes(content)
    with pytest.raises(InputRefused, match="password") as refused:
        oracle.sniff(scratch)
    assert refused.value.code == "encrypted"


def test_a_bomb_that_hides_its_size_is_not_unpacked(scratch: Path) -> None:
    content = zipped({"a": bytes(30 << 20), "ok": b"y"})
    for at in (record_of(content, 0) + 24, 22):
        put(content, at, 1000)
    found = members_of(scratch, content)
    assert codes(found) == ["corrupt", None]
    assert found[0].problem
    assert "more than the 1000 bytes" in found[0].problem.message


def test_members_that_claim_the_same_bytes_are_refused(scratch: Path) -> None:
    content = zipped({"a": b"x" * 500, "b": b"x" * 500, "c": b"z" * 500}, zipfile.ZIP_STORED)
    put(content, record_of(content, 1) + 42, 0)
    assert codes(members_of(scratch, content)) == ["overlapping", "overlapping", None]


def test_an_extra_field_that_reaches_into_the_next_member_is_refused(scratch: Path) -> None:
    content = zipped({"a": b"x" * 500, "b": b"y" * 500}, zipfile.ZIP_STORED)
    put(content, 28, 40, 2)
    assert codes(members_of(scratch, content)) == ["overlapping", None]


@pytest.mark.parametrize(
    ("offset", "size", "value"),
    [(0, 4, 0), (6, 2, 1), (8, 2, 0), (14, 4, 77), (18, 4, 77), (22, 4, 77), (30, 1, ord("z"))],
    ids=["magic", "encrypted", "method", "checksum", "packed size", "size", "name"],
)
def test_a_local_header_must_say_what_the_directory_says(
    scratch: Path, offset: int, size: int, value: int
) -> None:
    content = zipped({"a": b"x" * 500, "b": b"y" * 500})
    put(content, content.index(b"PK\x03\x04", 4) + offset, value, size)
    assert codes(members_of(scratch, content)) == [None, "corrupt"]


@pytest.mark.parametrize(
    ("offset", "value"), [(20, 3), (20, 40_000), (24, 499), (24, 501), (42, 7), (42, 1 << 31)]
)
def test_a_record_of_the_directory_that_lies_is_a_bad_row(scratch: Path, offset: int, value: int) -> None:
    content = zipped({"a": b"x" * 500, "b": bytes(range(250)) * 2})
    put(content, record_of(content, 0) + offset, value)
    found = codes(members_of(scratch, content))
    assert found[0] in ("corrupt", "overlapping")
    assert found[1] is None


def test_names_are_read_as_the_record_says(scratch: Path) -> None:
    content = zipped({"aaaa": b"1", "bbbb": b"2", "cccc": b"3"}, zipfile.ZIP_STORED)
    content = (
        content.replace(b"aaaa", b"\x81\x82aa")
        .replace(b"bbbb", b"b\xff\xc3\xa9")
        .replace(b"cccc", b"\xc3\xa9cc")
    )
    for number in (1, 2):
        put(content, record_of(content, number) + 8, 0x800, 2)
    found = members_of(scratch, content)
    assert [member.name for member in found] == ["üéaa", "b\\xffé", "écc"]
    assert codes(found) == [None, None, None]


@pytest.mark.parametrize(("system", "name"), [(3, "é.png"), (19, "é.png"), (0, "├⌐.png")])
def test_utf8_that_is_not_flagged_is_believed_of_unix(scratch: Path, system: int, name: str) -> None:
    content = zipped({"aa.png": b"1"}).replace(b"aa.png", "é.png".encode())
    content[record_of(content, 0) + 5] = system
    assert [member.name for member in members_of(scratch, content)] == [name]


def test_names_in_the_unicode_field_of_info_zip(scratch: Path) -> None:
    info = zipfile.ZipInfo("caf?.png")
    info.extra = struct.pack("<HHBL", 0x7075, 5 + 9, 1, zlib.crc32(b"caf\x82.png")) + "café.png".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(info, b"x")
    content = bytearray(buffer.getvalue().replace(b"caf?.png", b"caf\x82.png"))
    assert [member.name for member in members_of(scratch, content)] == ["café.png"]


def test_links_in_a_zip_are_no_files(scratch: Path) -> None:
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(info, b"/etc/passwd")
        file.writestr("ok", b"x")
    assert codes(members_of(scratch, buffer.getvalue())) == ["not_a_file", None]


def test_zip64_archives_are_read(scratch: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("a", "b"):
            with file.open(name, "w", force_zip64=True) as member:
                member.write(b"x" * 50)
    plain = bytearray(buffer.getvalue())
    end, count = plain.index(b"PK\x05\x06"), 2
    start = plain.index(b"PK\x01\x02")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, end - start, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    content = bytes(plain[:end]) + record + locator + last
    assert codes(members_of(scratch, content)) == [None, None]
    scratch.write_bytes(content.replace(record, bytes(len(record))))
    with pytest.raises(InputRefused, match="zip64"):
        oracle.sniff(scratch)


def test_numbers_of_zip64_stand_in_the_extra_field(scratch: Path) -> None:
    content = zipped({"a": b"x" * 50}, zipfile.ZIP_STORED)
    at = record_of(content, 0)
    extra = struct.pack("<HHQQQ", 1, 24, 50, 50, 0)
    for place in (20, 24, 42):
        put(content, at + place, 0xFFFFFFFF)
    put(content, at + 30, len(extra), 2)
    content[at + 47 : at + 47] = extra
    end = content.index(b"PK\x05\x06")
    put(content, end + 12, end - at)
    found = members_of(scratch, content)
    assert found[0].data == b"x" * 50
    put(content, at + 49, 8, 2)  # the field is now too short for three numbers
    scratch.write_bytes(content)
    with pytest.raises(InputRefused, match="zip64"):
        oracle.sniff(scratch)


def lying_end(**changes: int) -> bytes:
    """An archive of two members whose end record says something else."""
    content = zipped({"a": b"x", "b": b"y"})
    end = content.index(b"PK\x05\x06")
    fields = (
        dict(
            zip(
                ("disk", "first", "here", "count", "length", "start", "comment"),
                struct.unpack_from("<4H2LH", content, end + 4),
                strict=True,
            )
        )
        | changes
    )
    struct.pack_into("<4H2LH", content, end + 4, *fields.values())
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (zipped({"a": b"x"})[:-30], "unreadable_bytes"),
        (zipped({"d/": b""}), "empty_input"),
        (zipped({}), "empty_input"),
        (zipped({"[Content_Types].xml": b"x", "xl/workbook.xml": b"x"}), "unknown_format"),
        (lying_end(count=65000, length=200 << 20), "too_large"),
        (lying_end(count=1), "unreadable_bytes"),
        (lying_end(count=3), "unreadable_bytes"),
        (lying_end(length=47), "unreadable_bytes"),
        (lying_end(start=1), "unreadable_bytes"),
        (lying_end(disk=1), "unreadable_bytes"),
        (zipped({"a": b"x"}) + zipped({"b": b"y"}), "unreadable_bytes"),
    ],
)
def test_archives_that_cannot_be_used_are_refused(
    scratch: Path, content: bytes | bytearray, code: str
) -> None:
    scratch.write_bytes(content)
    with pytest.raises(InputRefused) as refused:
        oracle.sniff(scratch)
    assert refused.value.code == code


def test_a_comment_may_look_like_an_end(scratch: Path) -> None:
    buffer = io.BytesIO(zipped({"a": b"x"}))
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"PK\x05\x06 said the archive, " * 3
    assert codes(members_of(scratch, buffer.getvalue())) == [None]
    assert codes(members_of(scratch, zipped({"a": b"x"}) + b"\n\0")) == [None]


def test_the_number_of_members_is_bounded(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.write_bytes(zipped({"a": b"x", "b": b"y", "c": b"z"}))
    monkeypatch.setattr(zip_directory, "MAX_MEMBERS", 2)
    with pytest.raises(InputRefused, match="3 members"):
        oracle.sniff(scratch)
    scratch.write_bytes(lying_end(count=1))
    monkeypatch.setattr(zip_directory, "MAX_MEMBERS", 1)
    with pytest.raises(InputRefused, match="more than 1 members"):
        oracle.sniff(scratch)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_damage_is_a_refusal_or_a_problem(scratch: Path, at: int, flip: int) -> None:
    texts = {"a.png": b"text " * 20, "b.png": b"more " * 20}
    content = zipped(texts)
    content[at % len(content)] ^= flip
    scratch.write_bytes(content)
    try:
        shape = oracle.sniff(scratch)
    except InputRefused:
        return
    if shape.format == "zip":
        index, _ = indexed(scratch, shape)
        found = list(formats.read_members(scratch, index, Span(0, shape.rows or 0, shape.rows)))
        assert len(found) == shape.rows
        assert {member.data for member in found} <= {*texts.values(), None}
