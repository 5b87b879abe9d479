"""Stored files: nothing is left of a draft, and a folder can go while others work in it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from base.files import Files


def test_a_draft_goes_unless_it_is_kept(tmp_path: Path) -> None:
    files = Files(tmp_path)
    with files.draft() as draft:
        draft.write_bytes(b"a")
        assert files.path(files.keep(draft, "jobs/1/a")).read_bytes() == b"a"
    with files.draft() as draft:
        draft.write_bytes(b"c")
    assert list(files.staging.iterdir()) == []


def test_a_folder_goes_while_others_write_into_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                with files.draft() as draft:
                    draft.touch()
                    files.remove(files.keep(draft, f"jobs/1/parts/{number}"))
            except FileNotFoundError:
                pass  # the folder went between its making and the move into it: the attempt fails, no more

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(200):
            files.remove_folder("jobs/1")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    files.remove_folder("jobs/1")
    assert not (tmp_path / "jobs" / "1").exists()


def test_a_kept_file_outlives_a_crash_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []

    def fsync(handle: int) -> None:
        calls.append(("fsync", os.stat(handle).st_ino))

    def rename(self: Path, target: Path) -> Path:
        calls.append(("rename", self.stat().st_ino))
        return self.replace(target)

    files = Files(tmp_path)
    with files.draft() as draft:
        draft.write_bytes(b"part")
        (tmp_path / "jobs").mkdir()
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "rename", rename)
        files.keep(draft, "jobs/part")
    part, folder = ((tmp_path / name).stat().st_ino for name in ("jobs/part", "jobs"))
    # first the bytes, then the name, then the folder that holds the name
    assert calls == [("fsync", part), ("rename", part), ("fsync", folder)]
