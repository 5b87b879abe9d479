"""The head of an archive for a dry run: few members, none too large, and no more decoded than is bounded."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from base.files import Files
from base.formats import CsvOptions, Member, sniff
from jobs import head
from tests.hostile_archives import tarred, zipped

NO_LIMIT = 1 << 40


def first(folder: Path, content: bytes, max_member_bytes: int = NO_LIMIT) -> list[Member]:
    """What a dry run would score of this archive."""
    path = folder / "received"
    path.write_bytes(content)
    shape = sniff(path, CsvOptions(), max_decoded_bytes=NO_LIMIT)
    files = Files(folder)
    with head.head_members(files, path, shape, max_member_bytes, NO_LIMIT) as members:
        found = list(members)
    assert not list(files.staging.iterdir())
    return found


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_ten_members_judged_as_all_are(tmp_path: Path, form: str) -> None:
    files = {f"{number}.png": b"x" * (number + 1) for number in range(30)} | {"./3.png": b"x"}
    files = {"3.png": b"y", "./3.png": b"again"} | files
    content = zipped(files) if form == "zip" else tarred(files)
    found = first(tmp_path, gzip.compress(content) if form == "tar.gz" else content, max_member_bytes=5)
    assert [member.name for member in found] == list(files)[:10]
    codes = [member.problem.code if member.problem else None for member in found]
    assert codes == [
        None,
        "duplicate_name",
        None,
        None,
        None,
        None,
        "too_large",
        "too_large",
        "too_large",
        "too_large",
    ]


def test_what_the_head_of_a_compressed_tar_cuts_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "HEAD_ARCHIVE_BYTES", 1 << 20)
    files = {"a.png": b"a", "b.png": bytes(3 << 20), "c.png": b"c"}
    assert [member.name for member in first(tmp_path, gzip.compress(tarred(files)))] == ["a.png"]
    assert [member.name for member in first(tmp_path, tarred(files))] == ["a.png", "b.png", "c.png"]


def test_a_tar_that_ends_early_says_so_in_a_dry_run_too(tmp_path: Path) -> None:
    found = first(tmp_path, gzip.compress(tarred({"a.png": b"a", "b.png": b"b" * 600})[:2100]))
    assert [member.problem.code if member.problem else None for member in found] == [None, "truncated"]
