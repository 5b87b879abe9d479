"""The index of an archive's members: judged as a whole, read by slices, flat in memory at any length."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import formats
from base.formats import InputRefused, Span
from base.formats.archive import index, names
from base.formats.archive.entries import MAX_MEMBER, STORED, Entry
from tests.hostile_archives import zipped
from tests.unit.base.formats import oracle
from tests.unit.base.formats.members import codes, indexed, members_of, never_stops

MANY = 30_000


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("members") / "members"


def entry(name: str, size: int = 10, code: str | None = None) -> Entry:
    return Entry(name, 0, size, size, size, STORED, None, None, code, code and "so it is")


@given(
    st.lists(
        st.tuples(st.integers(1, MAX_MEMBER), st.sampled_from([None, "corrupt"])), min_size=1, max_size=40
    ),
    st.integers(1, 9),
    st.integers(1, 2 * MAX_MEMBER),
    st.data(),
)
def test_spans_cover_every_row_and_keep_their_bounds(
    scratch: Path, members: list[tuple[int, str | None]], rows: int, limit: int, data: st.DataObject
) -> None:
    entries = [entry(str(number), *member) for number, member in enumerate(members)]
    assert index.write(entries, scratch, never_stops) == (
        len(entries),
        sum(s for s, code in members if not code),
    )
    spans = list(formats.plan_members(scratch, rows, limit))
    assert [row for span in spans for row in range(span.start, span.stop)] == list(range(len(entries)))
    for span in spans:
        taken = [0 if code else size for size, code in members[span.start : span.stop]]
        assert span.rows == len(taken) <= rows
        assert sum(taken[1:]) + taken[0] <= limit or not any(taken[1:])
    start = data.draw(st.integers(0, len(entries)))
    stop = data.draw(st.integers(start, len(entries)))
    assert list(index.read(scratch, start, stop)) == entries[start:stop]


def test_slices_cross_the_batches(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BATCH_ROWS", 3)
    entries = [entry(str(number)) for number in range(10)]
    index.write(entries, scratch, never_stops)
    for start in range(11):
        for stop in range(start, 11):
            assert list(index.read(scratch, start, stop)) == entries[start:stop]


def large_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MANY):
            archive.writestr(zipfile.ZipInfo(f"{number:06}.png"), b"%06d" % number)


def large_tar(path: Path) -> None:
    block = bytes(506)
    with path.open("wb") as out:
        for number in range(MANY):
            info = tarfile.TarInfo(f"{number:06}.png")
            info.size = 6
            out.write(info.tobuf(tarfile.USTAR_FORMAT) + b"%06d" % number + block)
        out.write(bytes(1024))


@pytest.mark.slow
@pytest.mark.parametrize("make", [large_zip, large_tar])
def test_a_slice_of_a_large_archive_costs_what_a_slice_of_a_small_one_does(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Planning keeps a digest and three numbers a member; reading keeps nothing of what it does not read."""
    path = tmp_path / "large"
    make(path)
    shape = oracle.sniff(path)
    tracemalloc.start()
    try:
        file, found = indexed(path, shape)
        assert tracemalloc.get_traced_memory()[1] < (6 << 20) + 100 * MANY
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        members = list(formats.read_members(path, file, Span(MANY - 50, MANY, 50)))
        assert tracemalloc.get_traced_memory()[1] - before < 100_000
    finally:
        tracemalloc.stop()
    assert found.rows == MANY
    assert [member.data for member in members] == [b"%06d" % number for number in range(MANY - 50, MANY)]


def test_names_that_come_twice(scratch: Path) -> None:
    content = zipped(
        {"a.png": b"1", "b.png": b"2", "./a.png": b"3", "A.png": b"4", "d//e": b"5", "d/./e": b"6"}
    )
    found = codes(members_of(scratch, content))
    assert found == [None, None, "duplicate_name", None, None, "duplicate_name"]


@pytest.mark.parametrize(
    "name",
    ["/a", "\\a", "\\\\server\\a", "../a", "a/../../b", "a/..", "..\\a", "a\\..\\b", "C:\\a", "c:a", "a\nb",
     "a\x1b[31m", "a\x85", "a\x00b", "", "x" * (names.MAX_NAME + 1)],
)  # fmt: skip
def test_names_that_nobody_should_unpack(name: str) -> None:
    assert names.fault(name)
    assert names.printable(name).isprintable()


@pytest.mark.parametrize(
    "name", ["a", "a..b", "..a", "a...", "é/ü.png", "a:b.png"[1:], "ab:c", "x" * names.MAX_NAME]
)
def test_names_that_are_odd_but_harmless(name: str) -> None:
    assert names.fault(name) is None
    assert names.printable(name) == name


@pytest.mark.parametrize(
    "data",
    [
        zipped({"a.png": b"x"}),
        gzip.compress(b"x", mtime=0),
        b"BZh91AY&SY",
        b"\xfd7zXZ\0",
        b"Rar!\x1a",
        b"7z\xbc\xaf\x27\x1c",
    ],
)
def test_archives_in_archives_are_bad_rows(scratch: Path, data: bytes) -> None:
    assert codes(members_of(scratch, zipped({"a.png": b"x", "b.png": data}))) == [None, "nested_archive"]


def test_a_tar_in_an_archive_is_a_bad_row(scratch: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    assert codes(members_of(scratch, zipped({"b.png": buffer.getvalue()}))) == ["nested_archive"]


@pytest.mark.parametrize("first", ["[Content_Types].xml", "mimetype"])
def test_documents_are_left_to_the_decoder_of_images(scratch: Path, first: str) -> None:
    assert codes(members_of(scratch, zipped({"report.png": zipped({first: b"x"})}))) == [None]


def test_a_reader_may_ask_for_smaller_members(scratch: Path) -> None:
    scratch.write_bytes(zipped({"a.png": b"x" * 100, "b.png": b"x" * 101}))
    file, _ = indexed(scratch, oracle.sniff(scratch))
    found = list(formats.read_members(scratch, file, Span(0, 2, 2), max_member_bytes=100))
    assert codes(found) == [None, "too_large"]


def test_the_number_of_rows_is_bounded(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_MEMBERS", 2)
    assert index.write([entry("a"), entry("b")], scratch, never_stops) == (2, 20)
    with pytest.raises(InputRefused, match="more than 2 files"):
        index.write([entry("a"), entry("b"), entry("c")], scratch, never_stops)


def test_writing_stops_when_it_is_told_to(scratch: Path) -> None:
    def stop() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError):
        index.write([entry("a")], scratch, stop)
