"""Parts on disk: arrays as ``.npy`` files, everything else in one JSON file. Nothing here is ever unpickled.

Large arrays are mapped, not read: processes on one machine share the pages, and what is not used is not in
memory. The digests of the files stand in the manifest; whoever loads checks them first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from models.scorers.part import Part

DESCRIPTION = "scorer.json"
FORM = 1
# A smaller array is read: a page of its own and a mapping would cost more.
MAPPED_BYTES = 64 << 10


class _Saving:
    """Numbers the arrays of one part and of the parts in it, as it writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[str] = []

    def part(self, part: Part) -> dict[str, Any]:
        # a part is a dataclass, which Protocol cannot say
        values = {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]
        return {"part": part.kind, "fields": {name: self._value(value) for name, value in values.items()}}

    def _value(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is tuple:
            return {"tuple": [self._value(each) for each in value]}
        if isinstance(value, np.ndarray):
            return {"array": self._array(value)}
        if hasattr(value, "kind"):
            return self.part(value)
        raise TypeError(f"a part holds {type(value)}, which the store does not know")

    def _array(self, values: np.ndarray) -> str:
        name = f"scorer-{len(self.files):03d}.npy"
        with (self._folder / name).open("xb") as out:
            np.save(out, values, allow_pickle=False)
        self.files.append(name)
        return name


def save(part: Part, folder: Path) -> list[str]:
    """Write ``part`` into ``folder``; returns the names of all files written."""
    saving = _Saving(folder)
    description = {"form": FORM, **saving.part(part)}
    with (folder / DESCRIPTION).open("x", encoding="utf-8") as out:
        json.dump(description, out)
    return [DESCRIPTION, *saving.files]


def read(folder: Path, kinds: Mapping[str, type[Any]]) -> Any:
    """The part that was saved in ``folder``; ``kinds`` are the classes that it may consist of.

    Raises ValueError if it was written in another form, or holds a part that is not among ``kinds``.
    """
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    if description.get("form") != FORM:
        raise ValueError(f"form {description.get('form')!r} of scorers is not known here, only {FORM}")
    return _read_value(description, folder, kinds)


def _read_value(stored: Any, folder: Path, kinds: Mapping[str, type[Any]]) -> Any:
    if not isinstance(stored, dict):
        return stored
    if "tuple" in stored:
        return tuple(_read_value(each, folder, kinds) for each in stored["tuple"])
    if "array" in stored:
        return _read_array(folder / stored["array"])
    if stored["part"] not in kinds:
        raise ValueError(f"there is no part {stored['part']!r} here")
    values = {name: _read_value(value, folder, kinds) for name, value in stored["fields"].items()}
    return kinds[stored["part"]](**values)


def _read_array(path: Path) -> np.ndarray:
    if path.stat().st_size < MAPPED_BYTES:
        values: np.ndarray = np.load(path, allow_pickle=False)
        values.flags.writeable = False
        return values
    # NumPy's own class for mapped arrays is slow to slice and to index
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
