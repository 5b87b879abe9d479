"""What is stored of a scorer comes back as it was, from arrays that are mapped and never from a pickle."""

from __future__ import annotations

import json
import math
import mmap
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scorers.part import NotCompiled
from models.scorers.store import ALIGNMENT, ARRAYS, DESCRIPTION, MAPPED_BYTES, read, save


@dataclass(frozen=True)
class Leaf:
    kind: ClassVar[str] = "leaf"
    value: Any


@dataclass(frozen=True)
class Branch:
    kind: ClassVar[str] = "branch"
    leaves: tuple[Leaf, ...]
    name: str


KINDS = {"leaf": Leaf, "branch": Branch}
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


@given(st.lists(VALUES, max_size=3), st.text(max_size=3))
def test_plain_values_come_back_with_their_types(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], name: str
) -> None:
    folder = tmp_path_factory.mktemp("scorer")
    part = Branch(tuple(Leaf(value) for value in values), name.encode("utf-8", "replace").decode())
    save(part, folder)
    found = read(folder, KINDS)
    assert found == part
    assert repr(found) == repr(part)  # 1, 1.0 and True are equal


@pytest.mark.parametrize("number", [math.inf, -math.inf, -0.0, 5e-324, math.nan])
def test_odd_numbers_come_back(tmp_path: Path, number: float) -> None:
    save(Leaf(number), tmp_path)
    assert repr(read(tmp_path, KINDS).value) == repr(number)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4)),
        np.array([], dtype=np.uint8),
        np.array(["a", "ö"]),
        np.array([(1, 0.5)], dtype=[("left", np.int32), ("threshold", np.float64)]),
        np.arange(MAPPED_BYTES, dtype=np.float32),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_arrays_come_back_and_cannot_be_written(tmp_path: Path, values: np.ndarray) -> None:
    files = save(Leaf(values), tmp_path)
    found = read(tmp_path, KINDS).value
    assert type(found) is np.ndarray
    assert found.dtype == values.dtype
    assert np.array_equal(found, values)
    assert not found.flags.writeable
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_a_large_file_is_mapped_and_not_read_and_takes_one_descriptor(tmp_path: Path) -> None:
    arrays = tuple(np.full(MAPPED_BYTES // 8 + size, size, np.float64) for size in range(9))
    save(Leaf(arrays), tmp_path)
    before = set(Path("/dev/fd").iterdir())
    found = read(tmp_path, KINDS).value
    assert len(set(Path("/dev/fd").iterdir()) - before) <= 1
    for values, wanted in zip(found, arrays, strict=True):
        assert isinstance(values.base, mmap.mmap)
        assert values.ctypes.data % ALIGNMENT == 0
        assert np.array_equal(values, wanted)


def test_a_small_file_is_read(tmp_path: Path) -> None:
    save(Leaf((np.arange(5), np.arange(3.0))), tmp_path)
    first, second = read(tmp_path, KINDS).value
    assert isinstance(first.base, bytes)
    assert (first.tolist(), second.tolist()) == ([0, 1, 2, 3, 4], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("value", [{"a": 1}, [1], np.float64(1.0), object(), b"x"], ids=type)
def test_what_no_part_may_hold_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="does not know"):
        save(Leaf(value), tmp_path)


def test_an_array_of_objects_is_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        save(Leaf(np.array([object()])), tmp_path)
    with (tmp_path / ARRAYS).open("wb") as out:
        np.save(out, np.array([None]), allow_pickle=True)
    described = {"form": 2, "part": "leaf", "fields": {"value": {"array": 0}}}
    (tmp_path / DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(NotCompiled, match="objects"):
        read(tmp_path, KINDS)


@pytest.mark.parametrize(
    "described", [{"form": 1}, {"form": 2, "part": "os.system", "fields": {"command": "true"}}]
)
def test_only_known_forms_and_parts_are_read(tmp_path: Path, described: dict[str, Any]) -> None:
    (tmp_path / DESCRIPTION).write_text(json.dumps(described))
    (tmp_path / ARRAYS).touch()
    with pytest.raises(NotCompiled, match=r"form 1|part 'os.system'"):
        read(tmp_path, KINDS)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who shares a page")
def test_processes_share_what_is_mapped(tmp_path: Path) -> None:
    size = 32 << 20
    save(Leaf(np.ones(size // 8)), tmp_path)
    mine = read(tmp_path, KINDS).value
    assert mine.sum() == size // 8  # every page was touched
    script = f"""
import psutil
from pathlib import Path
from models.scorers.store import read
values = read(Path({str(tmp_path)!r}), {{"leaf": lambda value: value}})
assert values.sum() == {size // 8}
print([m.pss for m in psutil.Process().memory_maps() if m.path.endswith({ARRAYS!r})][0])
"""
    command = [sys.executable, "-c", script]
    share = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout)
    assert share == pytest.approx(size / 2, rel=0.1)


def test_what_another_version_wrote_is_no_scorer(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Taller(Leaf):
        height: int

    save(Branch((Leaf(1),), "a"), tmp_path)
    with pytest.raises(NotCompiled, match="another version of Rowmill"):
        read(tmp_path, {**KINDS, "leaf": Taller})
