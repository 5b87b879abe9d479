"""A limit of memory holds for one process, and for those that it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from base.memory import memory_of_machine, private_bytes

USE = """
import subprocess, sys
from base.memory import limit_memory
assert limit_memory(1 << 30) == 1 << 30
assert limit_memory(2 << 30) == 2 << 30  # it can be set anew
limit_memory(1 << 30)
for megabytes in (100, 2000):
    try:
        print(len(bytes(megabytes << 20)) >> 20)
    except MemoryError:
        print("no")
print(subprocess.run([sys.executable, "-c", "bytes(2000 << 20)"], stderr=subprocess.PIPE).stderr.decode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the limit")
def test_more_than_the_limit_is_a_memory_error() -> None:
    done = subprocess.run([sys.executable, "-c", USE], capture_output=True, text=True, check=True)
    first, second, child = done.stdout.split(maxsplit=2)
    assert (first, second) == ("100", "no")
    assert "MemoryError" in child


def test_a_machine_has_memory() -> None:
    assert 1 << 28 < memory_of_machine() < 1 << 50


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what pages are of")
def test_a_file_that_is_mapped_to_be_read_is_nobodys_memory(tmp_path: Path) -> None:
    size = 32 << 20
    np.save(tmp_path / "numbers.npy", np.ones(size // 8))  # only just written, so not on the disk yet
    before = private_bytes()
    mapped = np.load(tmp_path / "numbers.npy", mmap_mode="r")
    assert mapped.sum() == size // 8
    assert private_bytes() - before < size / 4
    copied = np.array(mapped)
    assert private_bytes() - before > size * 0.9
    assert len(copied) == len(mapped)
