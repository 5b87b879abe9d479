"""Columns and example rows of a logged model, as a sample that says nothing about what is usual.

An example has a few rows: enough to run the estimator on, too few to tell ranges and categories.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.errors import SignatureRefused
from models.manifest import ARROW_KINDS, Kind
from models.samples import Sample
from models.texts import DEFAULT_COLUMN

MAX_BYTES = 64 * 1024 * 1024
# More rows than this are no example.
MAX_ROWS = 2000
KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("integer", "long", "float", "double"), "number"),
    "string": "string",
    "boolean": "boolean",
}
WHOLE = ("integer", "long")


def example(folder: Path, described: Mapping[str, Any]) -> Sample | None:
    """The declared columns with the logged rows; None if nothing was declared or logged that has columns.

    Raises SignatureRefused ``bad_example``: the two do not fit together, or cannot be read.
    """
    try:
        declared = _declared(described)
        names, rows = _rows(folder, described)
        if declared is None:
            declared = {name: _seen([row[at] for row in rows]) for at, name in enumerate(names)}
        return _sample(declared, names, rows) if declared else None
    except (OSError, ValueError, TypeError, KeyError, IndexError, pa.ArrowException) as error:
        raise SignatureRefused(
            "bad_example",
            f"The signature and the input example of {folder.name} cannot be used: {error}. Log the model "
            "again with both made from the training data, or remove them from its MLmodel.",
        ) from error


def _declared(described: Mapping[str, Any]) -> dict[str, str] | None:
    """MLflow's type of each column; a matrix has x0, x1, … and one column of words a name for texts."""
    inputs = (described.get("signature") or {}).get("inputs")
    if not inputs:
        return None
    columns = json.loads(inputs)
    if columns[0]["type"] != "tensor":
        named = _named([each.get("name", at) for at, each in enumerate(columns)], str(columns[0]["type"]))
        return dict(zip(named, (str(each["type"]) for each in columns), strict=True))
    if len(columns) > 1 or "name" in columns[0]:
        return {str(each.get("name")): "tensor" for each in columns}
    shape, dtype = columns[0]["tensor-spec"]["shape"], columns[0]["tensor-spec"]["dtype"]
    if dtype in ("str", "object"):
        return {DEFAULT_COLUMN: "string"} if len(shape) == 1 else None
    return {f"x{at}": "double" for at in range(int(shape[1]))} if len(shape) == 2 and shape[1] > 0 else None


def _rows(folder: Path, described: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Names and rows of the logged example; nothing where it is of a form that is no table."""
    about = described.get("saved_input_example_info") or {}
    if about.get("type") not in ("dataframe", "ndarray"):
        return [], []
    path = folder / Path(str(about["artifact_path"])).name
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES} bytes")
    found = json.loads(path.read_text(encoding="utf-8"))
    if about["type"] == "dataframe":
        data = found["data"][:MAX_ROWS]
        columns = found.get("columns") or range(len(data[0]))
        return _named(list(columns), _seen([data[0][0]])), data
    data = (found["inputs"] if isinstance(found, dict) else found)[:MAX_ROWS]
    data = [value if isinstance(value, list) else [value] for value in data]
    return _named(list(range(len(data[0]))), _seen([data[0][0]])), data


def _named(columns: Sequence[Any], first_type: str) -> list[str]:
    """Columns without names have numbers; one column of words without a name holds texts."""
    if list(columns) == [0] and first_type == "string":
        return [DEFAULT_COLUMN]
    return [f"x{each}" if isinstance(each, int) else str(each) for each in columns]


def _seen(values: Sequence[Any]) -> str:
    """The type of a column that was not declared."""
    there = [value for value in values if value is not None]
    for kind, python in (("boolean", bool), ("string", str), ("long", int), ("double", (int, float))):
        if there and all(isinstance(value, python) for value in there):
            return kind
    return "object"


def _sample(declared: Mapping[str, str], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sample:
    usable = {name: KINDS[kind] for name, kind in declared.items() if kind in KINDS}
    # a column that need not be there is missing in the rows of an example that leaves it out
    places = {name: names.index(name) if name in names else None for name in usable}
    if rows and all(place is None for place in places.values()):
        raise ValueError(f"the example has the columns {', '.join(names)}, the signature {', '.join(usable)}")
    columns = {
        name: _column(usable[name], [None if at is None else row[at] for row in rows])
        for name, at in places.items()
    }
    return Sample(
        table=pa.table(columns),
        integral=frozenset(name for name, kind in declared.items() if kind in WHOLE),
        unusable={name: kind for name, kind in declared.items() if kind not in KINDS},
        tells_usual=False,
    )


def _column(kind: Kind, values: Sequence[Any]) -> pa.ChunkedArray:
    if kind == "number":
        values = [None if value is None or math.isnan(float(value)) else float(value) for value in values]
    return pa.chunked_array([pa.array(values, ARROW_KINDS[kind])])
