"""Bodies that would become far more in memory than they are, refused before they are parsed."""

from __future__ import annotations

import gc
import gzip
import json
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import strict_json
from api.json_size import MOST_FOR_A_BYTE, parsed_bytes
from jobs.errors import Problem
from tests.unit.api.conftest import Client

DENSE = [
    "[]",
    "[0]",
    "{}",
    '{"a":0}',
    '{"ab":"cd"}',
    "0.5",
    '"ab"',
    '"\\\\"',
    '"\\""',
    '"[{,"',
    "[0,[1]]",
    "7",
]
BRACKETS = json.dumps('[{,[{,"\\' * 20)


@pytest.mark.parametrize("units", [*([unit] for unit in DENSE), DENSE], ids=str)
def test_what_is_told_is_what_it_takes(units: list[str]) -> None:
    text = f"[{','.join(units * 1000)}]"
    gc.collect()
    tracemalloc.start()
    value = json.loads(text)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(value) == len(units) * 1000
    told = parsed_bytes(text.encode())
    assert taken * 0.9 - 4096 < told < MOST_FOR_A_BYTE * len(text)
    assert told < 10 * taken + 4096  # small numbers and short texts take less: they are there already


@given(st.text('[{,"\\ab'))
def test_what_stands_within_texts_counts_as_characters(text: str) -> None:
    plain, filled = (json.dumps([each, {each: 0.5}]).encode() for each in ("", text))
    assert parsed_bytes(filled) - parsed_bytes(plain) == len(filled) - len(plain)


def test_what_stands_on_the_border_of_two_blocks_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([{"a[": [0.5, "b,"]}, BRACKETS] * 20).encode()
    whole = parsed_bytes(text)
    for block in (1, 2, 3, 7, 300):
        monkeypatch.setattr("api.json_size._BLOCK", block)
        assert parsed_bytes(text) == whole


@pytest.mark.parametrize("unit", ["[]", "[0]", "{}", '{"a":0}'])
@pytest.mark.parametrize(
    "path", ["/predict?model=diabetes", "/invocations?model=diabetes", "/v2/models/diabetes/infer"]
)
def test_a_small_body_that_becomes_much_is_refused_before_it_is_parsed(
    client: Client, monkeypatch: pytest.MonkeyPatch, path: str, unit: str
) -> None:
    monkeypatch.setattr(strict_json, "MAX_PARSED_BYTES", 1 << 20)
    monkeypatch.setattr(strict_json, "_parsed", None)
    bomb = gzip.compress(b'{"instances":[' + (unit + ",").encode() * 20_000 + b"[]]}")
    answer = client.post(
        path, data=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )
    assert answer.status_code == 413, answer.text
    assert "of memory" in answer.text


def test_rows_that_fill_a_body_are_parsed() -> None:
    most = 16 << 20
    columns = 1000
    row = b"[" + b",".join([b"0.5"] * columns) + b"]"
    body = b'{"instances":[' + b",".join([row] * (most // (len(row) + 1) - 1)) + b"]}"
    assert most - 2 * len(row) < len(body) < most
    assert parsed_bytes(body) < strict_json.MAX_PARSED_BYTES
    texts = b'{"texts":[' + b",".join([BRACKETS.encode()] * 100_000) + b"]}"
    assert parsed_bytes(texts) < strict_json.MAX_PARSED_BYTES


def test_a_body_of_values_alone_may_be_as_long_as_bodies_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MAX_PARSED_BYTES", 3000)
    for text in (b"[0,1" + b",1" * 9000 + b"]", b"[0, 1" + b", 1" * 9000 + b"]"):
        assert parsed_bytes(text) > 3000
        assert len(strict_json.parse(text)) == 9002


def test_a_large_body_is_read_like_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MAX_PARSED_BYTES", 3000)
    text = json.dumps({"features": [1.5, "a"], "more": [[]] * 10}).encode()
    assert len(text) * MOST_FOR_A_BYTE > 3000
    assert strict_json.parse(text) == json.loads(text)
    with pytest.raises(Problem, match="Line 1"):
        strict_json.parse(text[:-1])
    with pytest.raises(Problem, match="0 MiB of memory") as refused:
        strict_json.parse(b"[" + b"[]," * 30 + b"[]]")
    assert refused.value.code == "too_large"
    assert math.isnan(strict_json.parse(b"[" + b"1," * 30 + b"NaN]", constant=float)[-1])
