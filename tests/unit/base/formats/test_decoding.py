"""gzip, zstd and other encodings: decoded as a stream, equal to the original, and never beyond the limits."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import formats
from base.formats import CsvOptions, InputRefused, Wanted, compression
from tests.unit.base.formats import oracle

CSV = b"a,b\n" + b"".join(b"%d,x%d\n" % (i, i) for i in range(20_000))


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def decoded(
    path: Path, content: bytes, options: CsvOptions | None = None, limit: int = oracle.NO_LIMIT
) -> bytes:
    path.write_bytes(content)
    shape = formats.sniff(path, options or CsvOptions(), max_decoded_bytes=limit)
    out = io.BytesIO()
    formats.decode(path, out, shape, max_decoded_bytes=limit)
    return out.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_packed_files_decode_to_the_original_in_one_part_or_two(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    for content in (pack(CSV), pack(CSV[:1000]) + pack(CSV[1000:])):
        assert decoded(tmp_path / "f", content) == CSV
        shape = oracle.sniff(tmp_path / "f")
        assert (shape.needs_decoding, shape.compression is None, shape.data_start) == (True, False, 4)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_cut_or_damaged_file_is_refused(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    packed = pack(CSV)
    for content in (packed[:-6], packed[: len(packed) // 2], packed[:20], packed[:10] + bytes(50)):
        with pytest.raises(InputRefused) as refused:
            decoded(tmp_path / "f", content)
        assert refused.value.code == "unreadable_bytes"


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_decoding_is_bounded_absolutely_and_by_ratio(
    tmp_path: Path, pack: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(pack)
    monkeypatch.setattr(compression, "FREE_BYTES", 1 << 20)
    bomb = pack(b"a,b\n" + b"1,2\n" * 2_000_000)
    for limit, words in ((600_000, "limit here"), (oracle.NO_LIMIT, "bomb")):
        with pytest.raises(InputRefused, match=words) as refused:
            decoded(tmp_path / "f", bomb, limit=limit)
        assert refused.value.code == "decoded_too_large"


def test_packed_parquet_is_sniffed_by_the_end_of_its_stream(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000))}), buffer)
    for pack in (gzip.compress, zstd):
        assert decoded(tmp_path / "f", pack(buffer.getvalue())) == buffer.getvalue()
        shape = oracle.sniff(tmp_path / "f")
        assert (shape.format, shape.rows, shape.needs_decoding) == ("parquet", 1000, True)
    with pytest.raises(InputRefused, match="cut off"):
        decoded(tmp_path / "f", gzip.compress(buffer.getvalue()[:-9]))


@given(
    st.text(
        st.characters(codec="cp1252", exclude_categories=["Cc"], exclude_characters='",'),
        min_size=1,
        max_size=40,
    ).filter(str.strip),
    st.sampled_from(["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-32", "utf-8", "utf-8-sig"]),
)
def test_every_charset_decodes_to_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, cell: str, charset: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "charset"
    try:
        content = f"é,x\n{cell},1.5\n".encode(charset)
    except UnicodeEncodeError:
        return
    options = CsvOptions(charset=charset, delimiter=",")
    text = decoded(path, content, options)
    shape = oracle.sniff(path, options)
    path.write_bytes(text)
    whole = oracle.read_whole(path, shape, [Wanted("x", 1, "number")])
    assert [column.name for column in shape.columns] == ["é", "x"]
    assert (whole.kept, whole.columns["x"]) == ([[cell], ["1.5"]], [1.5])


def test_bytes_outside_the_charset_are_refused_with_their_offset(tmp_path: Path) -> None:
    content = b"a,b\n" + b"1,2\n" * 300_000 + b"1,\x81\n"
    with pytest.raises(InputRefused, match="offset 1200006 are not cp1252") as refused:
        decoded(tmp_path / "f", content, CsvOptions(charset="cp1252"))
    assert refused.value.code == "unreadable_bytes"
