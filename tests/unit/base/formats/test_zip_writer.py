"""What the zip writer writes is what zipfile and other readers find; the same members, the same bytes."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import IO

import pytest

from base.formats.types import InputRefused
from base.formats.zip_writer import MAX_NAME_BYTES, ZipWriter

BLOCK = bytes(64 << 20)
MEMBERS = [
    ("a.png", [b"one", b"", b"two"]),
    ("шесть/ö 雪.png", [b"x" * 100_000]),
    ("a.png", []),
    ("../odd\\name\n.png", [b"\x00"]),
]


def written(members: list[tuple[str, list[bytes]]]) -> bytes:
    out = io.BytesIO()
    writer = ZipWriter(out)
    for name, blocks in members:
        writer.add(name, blocks)
    writer.finish()
    return out.getvalue()


def test_members_are_found_in_order_under_their_names() -> None:
    with zipfile.ZipFile(io.BytesIO(written(MEMBERS))) as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == [name for name, _ in MEMBERS]
        assert [archive.read(entry) for entry in entries] == [b"".join(blocks) for _, blocks in MEMBERS]
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None


def test_no_members_are_an_empty_archive() -> None:
    assert zipfile.ZipFile(io.BytesIO(written([]))).namelist() == []


def test_bytes_depend_on_the_members_only_not_on_how_they_arrive() -> None:
    in_other_blocks = [(name, [bytes([byte]) for byte in b"".join(blocks)]) for name, blocks in MEMBERS]
    assert written(in_other_blocks) == written(MEMBERS)
    assert written(MEMBERS[::-1]) != written(MEMBERS)


def test_another_program_unpacks_it(tmp_path: Path) -> None:
    if not (unzip := shutil.which("unzip")):
        pytest.skip("no unzip here")
    (tmp_path / "a.zip").write_bytes(written(MEMBERS[:2]))
    subprocess.run([unzip, "-q", "a.zip"], cwd=tmp_path, check=True)
    assert (tmp_path / "a.png").read_bytes() == b"onetwo"


def test_more_members_than_16_bits_count() -> None:
    many = [(str(number), [b"%d" % number]) for number in range(70_000)]
    with zipfile.ZipFile(io.BytesIO(written(many))) as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.read("69999") == b"69999"


class Sparse:
    """A file in which blocks of zeros are holes, so that gigabytes take no room."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def write(self, block: bytes) -> int:
        if block is BLOCK:
            self.file.seek(len(block), io.SEEK_CUR)
        else:
            self.file.write(block)
        return len(block)


def test_an_archive_beyond_4_gib_is_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "large.zip").open("wb") as file:
        writer = ZipWriter(Sparse(file))
        for number in range(3):
            writer.add(f"{number}.bmp", [BLOCK] * 24)
        writer.add("last.png", [b"the last one"])
        writer.finish()
    with zipfile.ZipFile(tmp_path / "large.zip") as archive:
        *_, before, last = archive.infolist()
        assert (before.filename, before.file_size, last.filename) == ("2.bmp", 24 * len(BLOCK), "last.png")
        assert last.header_offset > 1 << 32
        assert archive.read(last) == b"the last one"


def test_what_no_member_can_be_is_refused() -> None:
    writer = ZipWriter(io.BytesIO())
    writer.add("n" * MAX_NAME_BYTES, [b""])
    with pytest.raises(InputRefused, match=r"'ö+'… has 4098 bytes; at most 4096") as refused:
        writer.add("ö" * (MAX_NAME_BYTES // 2 + 1), [b""])
    assert refused.value.code == "too_large"


def test_a_member_beyond_32_bits_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large.zip").open("wb") as file, pytest.raises(InputRefused, match=r"'a\.bmp' has more"):
        ZipWriter(Sparse(file)).add("a.bmp", [BLOCK] * 64)
