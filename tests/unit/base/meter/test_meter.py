"""Several processes, one meter: their files are added up, gone on with, and removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from base.meter import folder
from base.meter.folder import MeterFolder
from base.meter.meter import Meter
from base.meter.tally import Measured

RECORD = """
import sys, time
from pathlib import Path
from base.meter.meter import Meter
meter = Meter(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    meter.record("GET /models", None, 0.001, 200, hit=None, now=time.monotonic())
print("recorded", flush=True)
input()
"""


class Process:
    """Another process that has recorded some requests, until it is ended."""

    def __init__(self, data_dir: Path, requests: int) -> None:
        command = [sys.executable, "-c", RECORD, str(data_dir), str(requests)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout
        assert self.child.stdout.readline() == "recorded\n"

    def kill(self) -> None:
        self.child.kill()
        self.child.communicate()

    def end_in_order(self) -> None:
        self.child.communicate("\n")
        assert self.child.returncode == 0


@pytest.fixture
def files(tmp_path: Path) -> Iterator[MeterFolder]:
    """The files of this test, none of which stays."""
    found = MeterFolder(tmp_path)
    yield found
    for path in found.paths():
        path.unlink()


def counted(meter: Meter, after: float = 0) -> tuple[int, int]:
    """Requests in the window and in all, ``after`` so many seconds."""
    measured = Measured.of(meter.read(time.monotonic() + after).series.values())
    return measured.recent.requests, measured.total.requests


def test_the_files_of_all_processes_are_added_up_whoever_lives(tmp_path: Path, files: MeterFolder) -> None:
    meter = Meter(tmp_path)
    meter.record("GET /models", None, 0.001, 200, hit=None, now=time.monotonic())
    first, second = Process(tmp_path, 10), Process(tmp_path, 100)
    assert len(files.paths()) == 3
    first.kill()
    assert counted(meter) == (111, 111)
    third = Process(tmp_path, 1000)
    assert len(files.paths()) == 3, "the third goes on with the file of the first"
    assert counted(meter) == (1111, 1111)
    assert counted(meter, after=1000) == (0, 1111)
    second.end_in_order()
    assert counted(meter) == (1111, 1111)
    third.kill()


def test_the_last_one_that_ends_removes_all(tmp_path: Path, files: MeterFolder) -> None:
    killed, last, other = Process(tmp_path, 1), Process(tmp_path, 1), Process(tmp_path / "other", 1)
    killed.kill()
    assert len(files.paths()) == 2
    last.end_in_order()
    assert files.paths() == []
    assert len(MeterFolder(tmp_path / "other").paths()) == 1
    other.end_in_order()


def test_what_was_killed_goes_on_at_the_next_start(tmp_path: Path, files: MeterFolder) -> None:
    Process(tmp_path, 5).kill()
    began_at = Meter(tmp_path).read(time.monotonic()).began_at
    again = Process(tmp_path, 7)
    meter = Meter(tmp_path)
    assert counted(meter) == (12, 12)
    assert meter.read(time.monotonic()).began_at == began_at
    again.end_in_order()


def test_a_stack_removes_what_killed_processes_left(tmp_path: Path, files: MeterFolder) -> None:
    killed, living = Process(tmp_path, 1), Process(tmp_path, 1)
    killed.kill()
    files.remove_unused()
    assert len(files.paths()) == 2, "somebody goes on counting"
    living.kill()
    files.remove_unused()
    assert files.paths() == []


def test_other_folders_files_go_after_a_day(tmp_path: Path, files: MeterFolder) -> None:
    long_ago = time.time() - folder.ABANDONED_SECONDS - 10
    living, dead = Process(tmp_path / "living", 1), Process(tmp_path / "dead", 1)
    dead.kill()
    groups = [MeterFolder(tmp_path / name) for name in ("living", "dead")]
    for path in [*groups[0].paths(), *groups[1].paths()]:
        os.utime(path, (long_ago, long_ago))
    Process(tmp_path, 1).end_in_order()
    assert [len(group.paths()) for group in groups] == [1, 0]
    living.end_in_order()


def test_threads_lose_nothing(tmp_path: Path, files: MeterFolder) -> None:
    meter, together = Meter(tmp_path), Barrier(8)

    def record(_number: int) -> None:
        together.wait()
        for route in range(100):
            meter.record(f"GET /{route}", None, 0.001, 200, hit=None, now=time.monotonic())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(record, range(8)))
    assert counted(meter) == (800, 800)
    assert len(files.paths()) == 1


def test_a_link_is_not_followed(tmp_path: Path, files: MeterFolder) -> None:
    Process(tmp_path, 3).kill()
    (path,) = files.paths()
    link = path.with_name(f"{path.name}-link")
    link.symlink_to(path)
    assert counted(Meter(tmp_path)) == (3, 3)


def test_without_a_folder_a_process_counts_for_itself(
    tmp_path: Path, files: MeterFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "SHARED_MEMORY", tmp_path / "not there")
    (tmp_path / "file").write_text("no folder can be made in it")
    meter = Meter(tmp_path / "file")
    meter.record("GET /models", None, 0.001, 200, hit=None, now=time.monotonic())
    assert counted(meter) == (1, 1)


def test_without_shared_memory_the_files_are_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "SHARED_MEMORY", tmp_path / "not there")
    meter = Meter(tmp_path)
    meter.record("GET /models", None, 0.001, 200, hit=None, now=time.monotonic())
    assert len(list((tmp_path / "run").glob("rowmill-meter-*"))) == 1
    assert counted(meter) == (1, 1)
