"""tar archives, plain and compressed: one row per file, in order; what is cut off or no file is told."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import formats
from base.formats import InputRefused, Span
from base.formats.archive import tar_entries
from tests.unit.base.formats import oracle
from tests.unit.base.formats.members import DATA, codes, indexed, members_of

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tar") / "file.tar"


def entry(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: str
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tarred(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytearray:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as file:
        for info, data in entries:
            file.addfile(info, io.BytesIO(data))
    return bytearray(buffer.getvalue())


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def signed(content: bytearray, at: int = 0) -> bytearray:
    """Give the header at ``at`` the checksum that it should have."""
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    return content


@given(
    st.lists(
        st.tuples(st.text(alphabet="abé", min_size=1, max_size=300), DATA),
        min_size=1,
        max_size=6,
        unique_by=lambda member: member[0],
    ),
    st.sampled_from(["gnu", "pax"]),
    st.integers(1, 4),
    st.integers(1, 2000),
)
def test_every_member_once_and_in_order(
    scratch: Path, files: list[tuple[str, bytes]], form: str, rows: int, limit: int
) -> None:
    content = tarred(*(entry(name, data) for name, data in files), form=FORMATS[form])
    found = members_of(scratch, content, rows, limit)
    assert [(member.name, member.data, member.problem) for member in found] == [
        (name, data, None) for name, data in files
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_compressed_archives_hold_the_same(scratch: Path, pack: Callable[[bytes], bytes]) -> None:
    content = tarred(entry("a.png", b"first"), entry("d", kind=tarfile.DIRTYPE), entry("d/b.png", b"second"))
    found = members_of(scratch, pack(bytes(content)))
    assert [(member.name, member.data) for member in found] == [("a.png", b"first"), ("d/b.png", b"second")]


def test_long_names_of_every_format(scratch: Path) -> None:
    name = "/".join(["folder" * 10] * 2) + "/" + "n" * 60 + ".png"
    for form in FORMATS.values():
        found = members_of(scratch, tarred(entry(name, b"x"), entry("short.png", b"y"), form=form))
        assert [member.name for member in found] == [name, "short.png"]


def test_the_oldest_format_has_no_magic(scratch: Path) -> None:
    content = tarred(entry("a.png", b"old"), entry("d/", kind=tarfile.AREGTYPE), entry("d/b.png", b"x"))
    for at in (0, 1024, 1536):
        content[at + 257 : at + 512] = bytes(255)
        content[at + 156] = 0
        signed(content, at)
    found = members_of(scratch, content)
    assert [(member.name, member.data) for member in found] == [("a.png", b"old"), ("d/b.png", b"x")]


def test_sizes_in_base_256_and_in_pax_records(scratch: Path) -> None:
    content = tarred(entry("a.png", b"0123456789"))
    content[124:136] = bytes([0x80]) + (10).to_bytes(11, "big")
    assert members_of(scratch, signed(content))[0].data == b"0123456789"
    info, data = entry("b.png", b"0123456789")
    info.pax_headers = {"size": "10"}
    content = tarred((info, data), form=tarfile.PAX_FORMAT)
    at = content.index(b"b.png", 1024)
    content[at + 124 : at + 136] = b"00000000003\0"
    assert members_of(scratch, signed(content, at))[0].data == b"0123456789"


def test_what_is_no_file_is_a_bad_row(scratch: Path) -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Q"]
    found = members_of(
        scratch,
        tarred(
            entry("ok.png", b"x"),
            *(entry(f"{number}.png", kind=kind, linkname="/etc/passwd") for number, kind in enumerate(kinds)),
            entry("last.png", b"y"),
        ),
    )
    assert codes(found) == [None, *["not_a_file"] * 6, None]


def test_sparse_files_are_bad_rows(scratch: Path) -> None:
    plain = tarred(entry("s.png", b"data"), entry("ok.png", b"x"))
    plain[156] = ord("S")
    plain[482] = 1
    content = signed(plain)[:512] + bytes(504) + b"\1" + bytes(7) + bytes(512) + plain[512:]
    assert codes(members_of(scratch, content)) == ["unsupported_method", None]
    info, data = entry("GNUSparseFile.0/s.png", b"data")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "s.png"}
    found = members_of(scratch, tarred((info, data), entry("ok.png", b"x"), form=tarfile.PAX_FORMAT))
    assert codes(found) == ["unsupported_method", None]
    assert found[0].name == "s.png"


@pytest.mark.parametrize("cut", [512, 600, 1511])
def test_a_file_that_was_cut_off_is_a_bad_row(scratch: Path, cut: int) -> None:
    content = tarred(entry("a.png", b"a" * 512), entry("b.png", b"b" * 1000), entry("c.png", b"c"))
    scratch.write_bytes(content[: 1024 + cut])
    index, found = indexed(scratch, oracle.sniff(scratch))
    members = list(formats.read_members(scratch, index, Span(0, found.rows, found.rows)))
    assert codes(members) == [None, "truncated"]
    assert found.notes == ["The tar archive was cut off within 'b.png': what followed it is missing."]


@pytest.mark.parametrize("cut", [-1, 0, 1, 300, 511])
@pytest.mark.parametrize("size", [100, (2 << 20) + 100], ids=["in the head", "behind the head"])
def test_an_archive_that_was_cut_off_between_its_files_is_refused(scratch: Path, cut: int, size: int) -> None:
    content = tarred(entry("a.png", bytes(size)), entry("b.png", b"b"))
    start = content.index(b"b.png")
    scratch.write_bytes(content[: start + cut])
    with pytest.raises(InputRefused, match=r"behind 'a\.png' .*cut off") as refused:
        indexed(scratch, oracle.sniff(scratch))
    assert refused.value.code == "unreadable_bytes"


def test_records_that_never_end_take_no_memory(scratch: Path) -> None:
    info, data = entry("a.png", b"x")
    info.pax_headers = {f"key-{number}": "x" * 1000 for number in range(900)}
    content = bytes(tarred((info, data), form=tarfile.PAX_FORMAT))
    records = content[: content.index(b"a.png\0")]
    scratch.write_bytes(b"".join(records.replace(b"key-", b"%03d-" % n) for n in range(30)) + content)
    shape = oracle.sniff(scratch)
    tracemalloc.start()
    try:
        assert indexed(scratch, shape)[1].rows == 1
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_archives_put_one_behind_the_other_are_read_to_the_end(scratch: Path) -> None:
    content = tarred(entry("a.png", b"1")) + tarred(entry("b.png", b"2"))
    assert [member.data for member in members_of(scratch, content)] == [b"1", b"2"]
    scratch.write_bytes(tarred(entry("a.png", b"1")) + b"rubbish" * 200)
    _, found = indexed(scratch, oracle.sniff(scratch))
    assert (found.rows, found.notes) == (1, ["Bytes behind the end mark of the tar archive were not read."])


def damaged_second_header() -> bytes:
    content = tarred(entry("a.png", b"x"), entry("b.png", b"y"))
    content[1024 + 100] ^= 1
    return bytes(content)


def bad_pax(records: bytes) -> bytes:
    info, data = entry("a.png", b"x")
    info.pax_headers = {"comment": "x" * 20}
    content = tarred((info, data), form=tarfile.PAX_FORMAT)
    content[512:1024] = records.ljust(512, b"\0")
    return bytes(content)


def claimed_size(field: bytes) -> bytes:
    content = tarred(entry("a.png", b"x"))
    content[124:136] = field
    return bytes(signed(content))


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (damaged_second_header(), "unreadable_bytes", "behind 'a.png'"),
        (bad_pax(b"xx comment=1\n"), "unreadable_bytes", "pax"),
        (bad_pax(b"999 comment=1\n"), "unreadable_bytes", "pax"),
        (bad_pax(b"12 size=abc\n"), "unreadable_bytes", "size"),
        (claimed_size(b"\xff" * 12), "unreadable_bytes", "negative"),
        (claimed_size(b"1_000      \0"), "unreadable_bytes", "no number"),
        (bytes(tarred(entry("d", kind=tarfile.DIRTYPE))), "empty_input", "no files"),
        (bytes(tarred()), "empty_input", "zeros"),
        (gzip.compress(bytes(tarred(entry("d", kind=tarfile.DIRTYPE))), mtime=0), "empty_input", "no files"),
    ],
)
def test_archives_that_cannot_be_used_are_refused(
    scratch: Path, content: bytes, code: str, words: str
) -> None:
    scratch.write_bytes(content)
    with pytest.raises(InputRefused, match=words) as refused:
        oracle.sniff(scratch)
    assert refused.value.code == code


def test_damage_far_behind_the_head_is_found_by_planning(scratch: Path) -> None:
    content = tarred(entry("a.png", bytes(2 << 20)), entry("b.png", b"y"))
    content[512 + (2 << 20) + 100] ^= 1
    scratch.write_bytes(content)
    shape = oracle.sniff(scratch)
    with pytest.raises(InputRefused, match=r"behind 'a\.png'"):
        indexed(scratch, shape)


def test_folders_may_fill_the_head(scratch: Path) -> None:
    folders = [entry(f"d{number}", kind=tarfile.DIRTYPE) for number in range(2100)]
    assert codes(members_of(scratch, tarred(*folders, entry("a.png", b"x")))) == [None]
    scratch.write_bytes(tarred(*folders))
    with pytest.raises(InputRefused, match="no files"):
        indexed(scratch, oracle.sniff(scratch))


def test_a_size_that_no_disk_has_is_a_bad_row(scratch: Path) -> None:
    content = claimed_size(b"\x8f" + b"\xff" * 11)
    assert codes(members_of(scratch, content)) == ["truncated"]


def test_the_number_of_headers_is_bounded(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.write_bytes(tarred(*(entry(f"{number}", b"x") for number in range(4))))
    shape = oracle.sniff(scratch)
    monkeypatch.setattr(tar_entries, "MAX_HEADERS", 3)
    with pytest.raises(InputRefused, match="more than 3 headers"):
        indexed(scratch, shape)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_damage_is_a_refusal_or_a_problem(scratch: Path, at: int, flip: int) -> None:
    content = tarred(entry("a.png", b"text " * 20), entry("b" * 120, b"more " * 20), form=tarfile.PAX_FORMAT)
    content[at % 4096] ^= flip
    scratch.write_bytes(content)
    try:
        shape = oracle.sniff(scratch)
        if shape.format == "tar":
            index, found = indexed(scratch, shape)
    except InputRefused:
        return
    if shape.format == "tar":
        assert len(list(formats.read_members(scratch, index, Span(0, found.rows, found.rows)))) == found.rows
