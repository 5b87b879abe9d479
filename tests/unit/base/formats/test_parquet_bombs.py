"""Parquet that is small and claims too much is refused where it arrives, before it costs anybody memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.formats import ChunkRows, InputRefused, Span, head, parquet_footer, parquet_head, read_head
from tests.parquet_bombs import claiming, footer_of_pieces, growing_page, repeated_text
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


def head_of(file: Path, content: bytes) -> ChunkRows:
    file.write_bytes(content)
    shape = oracle.sniff(file)
    return read_head(file, shape, head(file, shape, 100), [], range(len(shape.columns)))


@pytest.mark.parametrize("content", [growing_page(["a"]), repeated_text(["a"])], ids=["page", "dictionary"])
def test_first_rows_that_become_gigabytes_are_refused_by_a_process_of_their_own(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(InputRefused, match="first rows of the Parquet file cannot be read within") as refused:
        head_of(tmp_path / "bomb.parquet", content)
    assert refused.value.code == "too_large"


def test_as_many_first_rows_as_fit_are_looked_at(tmp_path: Path) -> None:
    found = head_of(tmp_path / "long.parquet", repeated_text(["a", "b"], text_bytes=2 << 20))
    assert 0 < found.rows < 100
    assert found.kept.nbytes <= parquet_head.MAX_HEAD_BYTES
    assert {len(text) for text in found.kept.column("a").to_pylist()} == {2 << 20}


@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_first_rows_are_the_same_wherever_they_are_read(tmp_path: Path, compression: str) -> None:
    table = pa.table({"a": np.arange(1000.0), "b": [f"text {row}" for row in range(1000)]})
    pq.write_table(table, tmp_path / "made.parquet", compression=compression, row_group_size=30)
    content = (tmp_path / "made.parquet").read_bytes()
    assert head_of(tmp_path / "honest.parquet", content).kept == table.slice(0, 100)


def test_numbers_are_read_on_the_spot_unless_they_may_grow(tmp_path: Path) -> None:
    def small(compression: str, column: object) -> bool:
        pq.write_table(pa.table({"a": column}), tmp_path / "x.parquet", compression=compression)
        return parquet_head.stays_small(pq.read_metadata(tmp_path / "x.parquet"), Span(0, 100, 100), ["a"])

    numbers = np.random.default_rng(0).random(200_000)
    assert small("snappy", numbers)
    assert not small("zstd", numbers[:10])
    assert not small("snappy", np.tile(numbers, 4) * np.arange(800_000))
    assert not small("snappy", ["a text"])
    assert not small("snappy", [[1.0]])
