"""Parts on disk: all arrays in one file, everything else in a JSON file. Nothing here is ever unpickled.

A large file of arrays is mapped, not read: processes on one machine share the pages, and what is not used is
not in memory. One file, because each mapping holds a descriptor, and a process may have a thousand. Digests
of both files stand in the manifest; whoever loads checks them first.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from models.scorers.part import NotCompiled, Part

DESCRIPTION = "scorer.json"
ARRAYS = "scorer.arrays"
FORM = 2
# A smaller file is read: a page of its own and a mapping would cost more.
MAPPED_BYTES = 64 << 10
# Where arrays begin: at a multiple of the processor's cache lines.
ALIGNMENT = 64


def save(part: Part, folder: Path) -> list[str]:
    """Write ``part`` into ``folder``; returns the names of all files written."""
    with (folder / ARRAYS).open("xb") as arrays:
        description = {"form": FORM, **_described(part, arrays)}
    with (folder / DESCRIPTION).open("x", encoding="utf-8") as out:
        json.dump(description, out)
    return [DESCRIPTION, ARRAYS]


def _described(part: Part, arrays: IO[bytes]) -> dict[str, Any]:
    # a part is a dataclass, which Protocol cannot say
    values = {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]
    return {"part": part.kind, "fields": {name: _stored(value, arrays) for name, value in values.items()}}


def _stored(value: Any, arrays: IO[bytes]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is tuple:
        return {"tuple": [_stored(each, arrays) for each in value]}
    if isinstance(value, np.ndarray):
        return {"array": _append(value, arrays)}
    if hasattr(value, "kind"):
        return _described(value, arrays)
    raise TypeError(f"a part holds {type(value)}, which the store does not know")


def _append(values: np.ndarray, arrays: IO[bytes]) -> int:
    """Where the array begins: it is written as in a file of its own, with a head for type and shape."""
    arrays.write(bytes(-arrays.tell() % ALIGNMENT))
    start = arrays.tell()
    npy.write_array(arrays, values, version=(1, 0), allow_pickle=False)
    return start


@dataclass(frozen=True)
class _Stored:
    """What ``save`` wrote, being read. ``memory`` is all of ``arrays``."""

    arrays: IO[bytes]
    memory: bytes | mmap.mmap
    kinds: Mapping[str, type[Any]]

    def value(self, stored: Any) -> Any:
        if not isinstance(stored, dict):
            return stored
        if "tuple" in stored:
            return tuple(map(self.value, stored["tuple"]))
        if "array" in stored:
            return self._array(stored["array"])
        if stored["part"] not in self.kinds:
            raise NotCompiled(f"the stored scorer has a part {stored['part']!r}, which is not known here")
        values = {name: self.value(value) for name, value in stored["fields"].items()}
        try:
            return self.kinds[stored["part"]](**values)
        except TypeError as error:
            raise NotCompiled(
                f"the stored scorer was written by another version of Rowmill: {error}"
            ) from error

    def _array(self, start: int) -> np.ndarray:
        self.arrays.seek(start)
        npy.read_magic(self.arrays)
        shape, is_fortran, dtype = npy.read_array_header_1_0(self.arrays)
        if dtype.hasobject:
            raise NotCompiled("the stored scorer has an array of objects")
        return np.ndarray(shape, dtype, self.memory, self.arrays.tell(), order="F" if is_fortran else "C")


def read(folder: Path, kinds: Mapping[str, type[Any]]) -> Any:
    """The part that was saved in ``folder``; ``kinds`` are the classes that it may consist of.

    Raises NotCompiled if it was written in another form, or holds what is not known here.
    """
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    if description.get("form") != FORM:
        raise NotCompiled(
            f"it is stored in form {description.get('form')!r}, not {FORM}; add the model again"
        )
    with (folder / ARRAYS).open("rb") as arrays:
        size = (folder / ARRAYS).stat().st_size
        mapped = size >= MAPPED_BYTES
        memory = mmap.mmap(arrays.fileno(), 0, access=mmap.ACCESS_READ) if mapped else arrays.read()
        return _Stored(arrays, memory, kinds).value(description)
