"""Parquet that is small and claims too much is refused where it arrives, before it costs anybody memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.formats import InputRefused, parquet_footer
from tests.parquet_bombs import claiming, footer_of_pieces
from tests.unit.base.formats import oracle

# Three bytes each in the file, 700 in memory: 1.5 GB, twice what a footer may take.
PIECES = 2_200_000


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (claiming(9_900_000_000), "decoded_too_large", "9900000000 rows in"),
        (claiming(622_770_257_630_000), "too_large", "622770257630000 rows"),
        (footer_of_pieces(PIECES), "unreadable_bytes", "with 768 MiB of memory"),
    ],
    ids=["more rows than bytes can hold", "more rows than anybody reads", "more pieces than memory can hold"],
)
def test_it_is_refused(tmp_path: Path, content: bytes, code: str, says: str) -> None:
    file = tmp_path / "bomb.parquet"
    file.write_bytes(content)
    with pytest.raises(InputRefused, match=says) as refused:
        oracle.sniff(file)
    assert refused.value.code == code


def test_an_honest_file_with_a_large_footer_is_read(tmp_path: Path) -> None:
    sink = io.BytesIO()
    columns = {f"column number {number}": np.arange(8.0) for number in range(500)}
    pq.write_table(pa.table(columns), sink, row_group_size=1)
    content = sink.getvalue()
    assert int.from_bytes(content[-8:-4], "little") > parquet_footer.FREE_BYTES
    (tmp_path / "wide.parquet").write_bytes(content)
    assert oracle.sniff(tmp_path / "wide.parquet").rows == 8


def test_the_same_value_many_times_is_no_bomb(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array(np.ones(1_000_000))})
    with pq.ParquetWriter(tmp_path / "ones.parquet", table.schema) as writer:
        for _ in range(20):
            writer.write_table(table)
    assert oracle.sniff(tmp_path / "ones.parquet").rows == 20_000_000
