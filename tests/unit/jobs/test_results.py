"""Views of a result: every kind of kept column has a form in CSV and in JSON that strict readers take."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import results

DAY = datetime.datetime(2026, 11, 20, 12, 30)  # noqa: DTZ001 - a column may well have no time zone
KEPT: dict[str, tuple[pa.Array, list[Any]]] = {
    "binary": (pa.array([b"\xff\x00", None]), ["ff00", None]),
    "large_binary": (pa.array([b"\xff\x00", None], pa.large_binary()), ["ff00", None]),
    "fixed": (pa.array([b"ab", None], pa.binary(2)), ["6162", None]),
    "not_finite": (pa.array([float("nan"), float("-inf")]), [None, None]),
    "decimal": (pa.array([decimal.Decimal("1.20"), None]), ["1.20", None]),
    "time": (pa.array([DAY.time(), None]), ["12:30:00", None]),
    "date": (pa.array([DAY.date(), None]), ["2026-11-20", None]),
    "timestamp": (pa.array([DAY, None]), ["2026-11-20 12:30:00", None]),
    "duration": (pa.array([datetime.timedelta(seconds=90), None]), ["0:01:30", None]),
    "boolean": (pa.array([True, None]), [True, None]),
    "unsigned": (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
    'a "name", odd': (pa.array(['"x",\n', None]), ['"x",\n', None]),
}


@pytest.fixture(params=KEPT)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, list[Any]]:
    """A result with one kept column, its name, and what it must be shown as."""
    values, shown = KEPT[request.param]
    pq.write_table(pa.table({request.param: values, "prediction": ["a", "b"]}), tmp_path / "r.parquet")
    return tmp_path / "r.parquet", request.param, shown


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


def test_json_views_are_json(kept: tuple[Path, str, list[Any]]) -> None:
    path, name, shown = kept
    lines = b"".join(results.as_jsonl(results.tables(path))).decode().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [row[name] for row in rows] == shown
    assert results.preview(path, 20) == rows


def test_csv_has_a_line_for_each_row(kept: tuple[Path, str, list[Any]]) -> None:
    path, name, shown = kept
    text = b"".join(results.as_csv(results.tables(path))).decode()
    header, *rows = csv.reader(text.splitlines(keepends=True))
    assert header == [name, "prediction"]
    assert [row[1] for row in rows] == ["a", "b"]
    if name in ("binary", "large_binary", "fixed", 'a "name", odd'):
        assert rows[0][0] == shown[0]


def test_a_result_without_rows_has_its_header(tmp_path: Path) -> None:
    pq.write_table(pa.table({'a"b': pa.array([], pa.string())}), tmp_path / "r.parquet")
    assert b"".join(results.as_csv(results.tables(tmp_path / "r.parquet"))) == b'"a""b"\n'
    assert results.preview(tmp_path / "r.parquet", 20) == []
    assert b"".join(results.as_jsonl(results.tables(tmp_path / "r.parquet"))) == b""


def test_a_view_holds_a_few_rows_however_many_there_are(tmp_path: Path) -> None:
    path = tmp_path / "result.parquet"
    table = pa.table({"prediction": np.random.default_rng(5).random(50_000)})
    with pq.ParquetWriter(path, table.schema, compression="none") as writer:
        for _ in range(40):
            writer.write_table(table)
    before = pa.total_allocated_bytes()
    held = max(pa.total_allocated_bytes() - before for _ in results.tables(path))
    assert held < path.stat().st_size / 4
