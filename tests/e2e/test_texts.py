"""Texts through the whole stack: every format, any characters, the same bits on the spot and in a job."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowmill import Client
from tests.e2e.conftest import Example
from tests.e2e.serving import errors, result, score, submit

ODD = [
    "a line\nand another\r\nand \"quotes\", ''apostrophes''",
    "Ich hätte gern ein Stück Käse … \u2013 „sofort“!",
    "素晴らしい、ありがとう 🎉👩\u200d👩\u200d👧",
    "שלום עולם \u202e abc",
    "\U0001f600" * 50,
    "NA",
    "null",
    "5",
    " leading and trailing \t",
    "{\"text\": 1} [2] <b>3</b> \\n \\",
    "\u0000\u0007\ufeff\ufffd\ufdd0",
    "=SUM(A1:A9);a|b\tc",
]  # fmt: skip


@pytest.fixture(scope="module")
def texts(sentiment: Example) -> list[str]:
    """The example's texts and odd ones, enough for several chunks."""
    return [*ODD, *sentiment.rows["text"]] * 6


def as_csv(texts: list[str], *header: str) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([*([header] if header else []), *([text] for text in texts)])
    return sink.getvalue().encode()


def as_parquet(texts: list[str], kind: pa.DataType) -> bytes:
    sink = io.BytesIO()
    table = pa.table({"id": range(len(texts)), "text": pa.array(texts).cast(kind)})
    pq.write_table(table, sink, row_group_size=500)
    return sink.getvalue()


def as_json_lines(texts: list[str], ascii_only: bool) -> bytes:
    rows = ({"id": number, "text": text} for number, text in enumerate(texts))
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode()


FORMATS: dict[str, Any] = {
    "csv": lambda texts: as_csv(texts, "text"),
    "csv.gz": lambda texts: gzip.compress(as_csv(texts, "text")),
    "csv with another header": lambda texts: as_csv(texts, "review"),
    "csv with more columns": lambda texts: (
        pd.DataFrame({"id": 1, "text": texts, "n": 2}).to_csv(index=False).encode()
    ),
    "jsonl": lambda texts: as_json_lines(texts, ascii_only=False),
    "jsonl with escapes": lambda texts: as_json_lines(texts, ascii_only=True),
    "parquet": lambda texts: as_parquet(texts, pa.string()),
    "parquet of dictionaries": lambda texts: as_parquet(texts, pa.dictionary(pa.int32(), pa.string())),
    "parquet of large strings": lambda texts: as_parquet(texts, pa.large_string()),
}


def probabilities(table: pa.Table) -> Any:
    return np.column_stack([table[f"probability_{mood}"] for mood in ("negative", "neutral", "positive")])


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_job_answers_as_scikit_learn_does(
    url: str, sentiment: Example, texts: list[str], form: str
) -> None:
    estimator: Any = sentiment.estimator
    job = score(url, FORMATS[form](texts), model="sentiment", chunk_rows=400)
    assert job["chunks"]["total"] > 2
    assert job["rows"] == {"total": len(texts), "done": len(texts), "failed": 0}
    scored = result(url, job)
    assert scored["prediction"].to_pylist() == estimator.predict(texts).tolist()
    assert np.array_equal(probabilities(scored), estimator.predict_proba(texts))


def test_a_file_without_a_header(url: str, sentiment: Example, texts: list[str]) -> None:
    estimator: Any = sentiment.estimator
    job = score(url, as_csv(texts), model="sentiment", header="none", keep="x0")
    scored = result(url, job)
    assert scored["x0"].to_pylist() == texts
    assert scored["prediction"].to_pylist() == estimator.predict(texts).tolist()
    assert job["warnings"] == ["The one column was taken as the texts."]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_texts_are_kept_as_they_were(url: str, texts: list[str], form: str) -> None:
    job = score(url, FORMATS[form](texts), model="sentiment", keep="text", chunk_rows=300)
    assert result(url, job)["text"].to_pylist() == texts


def test_another_header_is_told(url: str) -> None:
    job = score(url, as_csv(["fine", "good"], "bad"), model="sentiment")
    assert job["rows"]["total"] == 2
    assert "'bad', was taken as the texts" in job["warnings"][0]
    assert "header=none" in job["warnings"][0]


def test_alone_in_a_list_and_in_a_job_the_bits_are_the_same(url: str, texts: list[str]) -> None:
    some = texts[:60]
    scored = result(url, score(url, as_csv(some, "text"), model="sentiment")).to_pylist()
    several = httpx.post(f"{url}/predict", json={"model": "sentiment", "texts": some}).json()["predictions"]
    with httpx.Client() as client:
        alone = [client.post(f"{url}/predict?model=sentiment", json={"text": text}).json() for text in some]
    for row, one, other in zip(scored, several, alone, strict=True):
        assert one["prediction"] == other["prediction"] == row["prediction"]
        moods = {mood: row[f"probability_{mood}"] for mood in ("negative", "neutral", "positive")}
        assert one["probabilities"] == other["probabilities"] == moods


def test_the_client_sends_texts(url: str) -> None:
    with Client(url) as client:
        assert client.predict("a wonderful day", model="sentiment")["prediction"] == "positive"
        several = client.predict([["a wonderful day"], ["it broke, I am angry"]], model="sentiment")
        assert [each["prediction"] for each in several["predictions"]] == ["positive", "negative"]
        scored = client.score(pd.DataFrame({"text": ["a wonderful day", "  "]}), model="sentiment")
    assert scored["error"].tolist()[1] == "empty_text"


def parquet_with_gaps() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["good", "", None, "\u3000 \n", "bad"]}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (
            b'text\n"good"\n""\n\n" \xc2\xa0\n"\nbad\n',
            [None, "missing_value", "missing_value", "empty_text", None],
        ),
        (
            b'{"text": "good"}\n{"text": ""}\n{"text": null}\n{"n": 1}\n{"text": "\\t"}\n{"text": 5}\n'
            b'{"text": "\\ud800"}\n"bare"\n{"text": "bad"}\n',
            [None, "empty_text", "missing_value", "missing_value", "empty_text", "not_a_string",
             "invalid_utf8", "not_an_object", None],
        ),
        (parquet_with_gaps(), [None, "empty_text", "missing_value", "empty_text", None]),
    ],
    ids=["csv", "jsonl", "parquet"],
)  # fmt: skip
def test_a_row_without_a_text_is_a_bad_row(url: str, body: bytes, codes: list[str | None]) -> None:
    job = score(url, body, model="sentiment")
    scored = result(url, job)
    assert scored["error"].to_pylist() == codes
    assert [label is None for label in scored["prediction"].to_pylist()] == [
        code is not None for code in codes
    ]
    assert [(each["row"], each["code"]) for each in errors(url, job)] == [
        (row, code) for row, code in enumerate(codes) if code
    ]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"id,Text\n1,good\n", "missing_column", "'Text', rename it"),
        (b"a,b\n1,good\n", "missing_column", "no column 'text'"),
    ],
)
def test_a_file_without_the_column_is_refused(url: str, body: bytes, code: str, words: str) -> None:
    answer = submit(url, body, model="sentiment")
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert words in answer.json()["detail"]


def test_a_column_of_numbers_is_no_text(url: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [1.5, 2.5]}), sink)
    answer = submit(url, sink.getvalue(), model="sentiment")
    assert (answer.status_code, answer.json()["code"]) == (422, "mistyped_column")


def test_the_same_file_gives_the_same_bytes(url: str, texts: list[str]) -> None:
    body = as_csv(texts, "text")
    first, second = (score(url, body, model="sentiment", chunk_rows=500, keep="text") for _ in range(2))
    assert first["id"] != second["id"]
    assert first["result"] == second["result"]
