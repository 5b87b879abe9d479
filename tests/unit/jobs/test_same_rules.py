"""The same rows sent to /predict and as a file: refused, told and clipped alike, whatever is in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.formats import CsvOptions, head, read, sniff
from jobs.columns import match
from jobs.rows import score_table
from jobs.scoring import Scored, Scorer
from models.manifest import ARROW_KINDS, ColumnSpec, Manifest
from models.payload import PayloadRefused, read_rows
from models.single import model_input
from tests.unit.models.test_single import manifest

RANGE: dict[str, Any] = {"minimum": -5.0, "maximum": 5.0, "mean": 1.0, "std": 1.0}
COLUMNS = [
    {"name": "warned", **RANGE, "max_z": 3.0},
    {"name": "refused", **RANGE, "on_unusual": "refuse", "accepts_null": False},
    {"name": "clipped", **RANGE, "on_unusual": "clip", "max_z": 3.0},
    {"name": "whole", **RANGE, "on_unusual": "clip", "dtype": "int64"},
    {"name": "coded", "categories": (1, 2), "categories_from": "estimator", "accepts_unseen": False},
    {"name": "word", "kind": "string", "categories": ("a",), "categories_from": "sample"},
    {"name": "yes", "kind": "boolean", "accepts_null": False},
]
PLAIN = {"kind": "number", "dtype": "float64"}
MADE: Manifest = manifest(*(ColumnSpec.model_validate(PLAIN | column) for column in COLUMNS))
NAMES = MADE.signature.names
SCHEMA = pa.schema([(spec.name, ARROW_KINDS[spec.kind]) for spec in MADE.signature.columns])
ECHO = Scorer(SCHEMA, lambda rows: rows, call_rows=1 << 40)

NUMBER = st.one_of(
    st.none(),
    st.floats(-9, 9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-9, 9),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(-(2**80), -(2**52)),
)
GOOD = {
    "number": NUMBER,
    "string": st.sampled_from([None, "a", "b", ""]),
    "boolean": st.sampled_from([None, True, False]),
}


def rows_of(cells: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({spec.name: cells[spec.kind] for spec in MADE.signature.columns})


WRONG = {kind: cells | st.sampled_from(["1", True, 5, [], {}]) for kind, cells in GOOD.items()}
ROW = rows_of(GOOD) | rows_of(WRONG)
TYPES = {"not_a_number", "not_a_string", "not_a_boolean", "nested_value"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "rows.jsonl"


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6))
def test_a_request_and_a_file_are_judged_alike(file: Path, rows: list[dict[str, Any]]) -> None:
    job = as_job(file, rows)
    problems = {(p.row, p.column, "wrong_type" if p.code in TYPES else p.code) for p in job.problems}
    refused = as_refused(rows)
    # of a row with a cell of the wrong type, a file's reader tells that alone
    mistyped = {row for row, _, code in refused if code == "wrong_type"}
    assert problems == {each for each in refused if each[2] == "wrong_type" or each[0] not in mistyped}
    good = [row for row in range(len(rows)) if row not in {problem[0] for problem in problems}]
    if not good:
        assert job.unusual == {}
        return
    taken = model_input(MADE, read_rows({"instances": [rows[row] for row in good]}, NAMES, 100))
    assert isinstance(taken.data, pa.Table)
    assert job.table.drop(["error"]).take(good).equals(taken.data)
    told = Counter(f"{told['code']}:{told['pointer'].rpartition('/')[2]}" for told in taken.warnings)
    assert job.unusual == told


def as_job(file: Path, rows: list[dict[str, Any]]) -> Scored:
    """Scored as a chunk of JSON Lines, by a model that answers with what it was given."""
    file.write_text("\n".join(json.dumps(row) for row in rows))
    shape = sniff(file, CsvOptions(), max_decoded_bytes=1 << 20)
    columns = match(MADE, shape, [], [])
    chunk = read(file, shape, head(file, shape, len(rows)), columns.wanted, columns.keep)
    return score_table(ECHO, MADE, chunk, lambda: None)


def as_refused(rows: list[dict[str, Any]]) -> set[tuple[int, str, str]]:
    """Row, column and code of all that /predict refuses."""
    try:
        model_input(MADE, read_rows({"instances": rows}, NAMES, 100))
    except PayloadRefused as refused:
        places = [(error["pointer"].split("/"), error["code"]) for error in refused.errors]
        return {(int(place[2]), place[3], code) for place, code in places}
    return set()
