"""Rows of texts: no call of the model lasts long because its texts are long."""

from __future__ import annotations

import pyarrow as pa
import pytest

from base.formats import ChunkRows
from jobs.rows import score_table
from jobs.scoring import CALL_SECONDS, Scorer
from tests.unit.jobs.test_planning import TEXTS

SCHEMA = pa.schema([("prediction", pa.float64())])


@pytest.mark.parametrize("length", [0, 100, 1_000_000])
def test_a_call_gets_fewer_texts_if_they_are_long(length: int) -> None:
    calls: list[int] = []

    def predict(rows: pa.Table) -> pa.Table:
        calls.append(rows.num_rows)
        return pa.table({"prediction": pa.array([1.0] * rows.num_rows)})

    texts = [f"{number} " + "x" * length for number in range(100)]
    rows = ChunkRows(pa.table({"text": texts}), pa.table({}), len(texts), None, [])
    scored = score_table(Scorer(SCHEMA, predict, call_rows=1), TEXTS, rows, lambda: None)
    assert scored.rows_failed == 0
    assert sum(calls) == len(texts)
    row_seconds = TEXTS.row_cost_seconds + length * TEXTS.byte_cost_seconds
    assert max(calls) * row_seconds <= CALL_SECONDS
    assert len(calls) == max(1, -(-len(texts) // int(CALL_SECONDS / row_seconds)))


def test_a_chunk_with_no_text_at_all() -> None:
    rows = ChunkRows(pa.table({"text": pa.nulls(3, pa.string())}), pa.table({}), 3, None, [])
    scored = score_table(Scorer(SCHEMA, lambda _: SCHEMA.empty_table(), 1), TEXTS, rows, lambda: None)
    assert scored.table["error"].to_pylist() == ["missing_value"] * 3
