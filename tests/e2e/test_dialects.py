"""CSV as it comes: every dialect through the whole path, each row once, in order, errors at their lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Example
from tests.e2e.serving import errors, result, score

ROWS = 60
BAD = 33
Rows = list[dict[str, Any]]


def wines(example: Example) -> Rows:
    """Each with a note of two lines that has quotes and delimiters in it; one of them has a bad cell."""
    records: list[dict[Any, Any]] = example.rows.head(ROWS).to_dict("records")
    rows: Rows = [{"note": f'no. {n}, "fine"\nwine; {n}|\té', **wine} for n, wine in enumerate(records)]
    rows[BAD]["hue"] = "dull"
    return rows


def text(rows: Rows, **dialect: Any) -> str:
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(rows[0]), **({"lineterminator": "\n"} | dialect))
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def with_decimal_comma(rows: Rows) -> Rows:
    return [{k: v if k == "note" else str(v).replace(".", ",") for k, v in row.items()} for row in rows]


VARIANTS: dict[str, tuple[Callable[[Rows], bytes], dict[str, str]]] = {
    "plain": (lambda rows: text(rows).encode(), {}),
    "crlf": (lambda rows: text(rows, lineterminator="\r\n").encode(), {}),
    "cr": (lambda rows: text(rows, lineterminator="\r").encode(), {}),
    "bom": (lambda rows: b"\xef\xbb\xbf" + text(rows).encode(), {}),
    "no final newline": (lambda rows: text(rows).rstrip("\n").encode(), {}),
    "semicolon": (lambda rows: text(rows, delimiter=";").encode(), {}),
    "tab": (lambda rows: text(rows, delimiter="\t").encode(), {}),
    "pipe": (lambda rows: text(rows, delimiter="|").encode(), {}),
    "all quoted": (lambda rows: text(rows, quoting=csv.QUOTE_ALL).encode(), {}),
    "comma as decimal": (
        lambda rows: text(with_decimal_comma(rows), delimiter=";").encode(),
        {"decimal": ","},
    ),
    "latin-1": (lambda rows: text(rows).encode("latin-1"), {"charset": "latin-1"}),
    "utf-16": (lambda rows: text(rows).encode("utf-16"), {"charset": "utf-16"}),
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_dialect_gives_the_same_rows(url: str, examples: dict[str, Example], name: str) -> None:
    rows = wines(examples["wine"])
    encode, options = VARIANTS[name]
    job = score(url, encode(rows), model="wine", chunk_rows=7, keep="note", **options)
    assert job["chunks"]["total"] > 5
    scored = result(url, job).to_pandas()
    assert scored["note"].tolist() == [row["note"] for row in rows]
    assert scored["error"].notna().tolist() == [number == BAD for number in range(ROWS)]
    good = scored.drop(index=BAD)
    estimator: Any = examples["wine"].estimator
    expected = estimator.predict(examples["wine"].rows.head(ROWS).drop(index=BAD))
    assert good["prediction"].tolist() == expected.tolist()
    (found,) = errors(url, job)
    assert (found["row"], found["column"], found["value"]) == (BAD, "hue", "dull")
    assert found["line"] == 2 + 2 * BAD  # a header, and two lines a row; lines count from 1


def test_a_file_without_header_is_matched_by_position(url: str, examples: dict[str, Example]) -> None:
    body = examples["wine"].rows.head(9).to_csv(index=False, header=False).encode()
    job = score(url, body, model="wine", header="none")
    assert job["rows"]["done"] == 9
    assert "by position" in " ".join(job["warnings"])


def test_a_stray_quote_costs_one_row(url: str, examples: dict[str, Example]) -> None:
    lines = examples["wine"].rows.head(50).to_csv(index=False, lineterminator="\n").splitlines(keepends=True)
    rest = lines[1:] * 2000  # far more than any one record may be
    lines[11] = '"' + lines[11]  # opens a field that never closes
    job = score(url, "".join([*lines, *rest]).encode(), model="wine")
    assert job["rows"] == {"total": 50 + 2000 * 50, "done": 50 + 2000 * 50, "failed": 1}
    (found,) = errors(url, job)
    assert (found["row"], found["line"], found["code"]) == (10, 12, "unclosed_quote")
