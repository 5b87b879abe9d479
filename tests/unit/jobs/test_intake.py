"""Receiving a file: what cannot be stored is refused with the way out, and nothing of it stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from base.files import Files
from jobs.errors import Problem
from jobs.intake import receive

PLENTY = 1 << 40


def test_a_body_larger_than_the_cap_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="the limit is 10") as refused, receive(Files(tmp_path), 11, 10, 0):
        pass
    assert refused.value.code == "too_large"


def test_a_body_that_does_not_say_its_size_is_refused_when_it_passes_the_cap(tmp_path: Path) -> None:
    files = Files(tmp_path)
    with pytest.raises(Problem) as refused, receive(files, None, 10, 0) as upload:
        upload.write(b"12345678901")
    assert refused.value.code == "too_large"
    assert list(files.staging.iterdir()) == []


def test_a_disk_that_has_too_little_room_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused, receive(Files(tmp_path), None, PLENTY, PLENTY):
        pass
    assert refused.value.code == "disk_low"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_becomes_full_is_told(tmp_path: Path, number: int) -> None:
    files = Files(tmp_path)
    with pytest.raises(Problem) as refused, receive(files, None, PLENTY, 0):
        raise OSError(number, "no room")
    assert refused.value.code == "disk_low"
    assert list(files.staging.iterdir()) == []


def test_other_faults_of_the_disk_are_not_called_full(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken"), receive(Files(tmp_path), None, PLENTY, 0):
        raise OSError(errno.EIO, "broken")
