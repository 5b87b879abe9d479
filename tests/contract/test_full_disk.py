"""A disk that is really full: a job waits for room, and ends; an upload is told, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from base.files import Files
from jobs import parts, reading
from jobs.errors import Problem
from jobs.image_parts import FileParts
from jobs.intake import receive
from jobs.running import run_chunk
from jobs.trouble import is_disk_full
from jobs.workshop import Workshop
from tests.builders import OWNER, AddedModel, submitted
from tests.conftest import Clock


class SmallDisk(Files):
    """The usual folder, but drafts are written to a disk of 64 KiB."""

    def __init__(self, root: Path, disk: Path) -> None:
        super().__init__(root)
        self.staging = disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_job_waits_for_room(workshop: Workshop, wine: AddedModel, clock: Clock, disk: Path) -> None:
    wine.put_into(workshop.database, workshop.registry)
    job = submitted(workshop, wine.sample.read_bytes(), "wine", 1000)
    narrow = replace(workshop, files=SmallDisk(workshop.files.root, disk))
    (disk / "others").write_bytes(bytes(64 << 10))
    for _ in range(2 * workshop.settings.max_attempts):
        with pytest.raises(OSError, match="No space left on device"):
            run_chunk(narrow, job.id, 0)
        clock.advance(61)  # longer than the longest pause
    assert [path.name for path in disk.iterdir()] == ["others"]
    run_chunk(workshop, job.id, 0)
    done = reading.find_job(workshop.database, OWNER, job.id)
    assert (done.status, done.rows_done, done.rows_failed) == ("succeeded", 178, 0)


def send_two_images(files: Files) -> None:
    """The first is copied into an archive when the second comes, and for a moment is there twice."""
    with receive(files, None, 1 << 30, 0) as upload:
        form = FileParts(upload)
        form.add("a.png", [bytes(40 << 10)])
        assert upload.bytes == 40 << 10
        form.add("b.png", [b""])


def test_a_form_of_images_is_told(disk: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        send_two_images(SmallDisk(tmp_path / "data", disk))
    assert refused.value.code == "disk_low"
    assert list(disk.iterdir()) == []


def test_every_way_to_say_that_a_disk_is_full_is_understood(tmp_path: Path) -> None:
    if not Path("/dev/full").is_char_device():
        pytest.skip("there is no /dev/full")
    full = tmp_path / "full"
    full.symlink_to("/dev/full")  # a library that removes what it could not write removes the link
    with pytest.raises(OSError, match="No space") as plain, full.open("wb", buffering=0) as stream:
        stream.write(b"x")
    with pytest.raises(OSError, match="No space") as arrow:
        parts.write_table(full, pa.table({"x": np.random.default_rng(0).random(100_000)}))
    with create_engine(f"sqlite:///{tmp_path / 'full.db'}").connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("CREATE TABLE t (x)")
        with pytest.raises(OperationalError, match="full") as database:
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")
    for error in (plain.value, arrow.value, database.value):
        assert is_disk_full(error)
    assert not is_disk_full(FileNotFoundError(2, "gone"))
