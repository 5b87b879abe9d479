"""Decompression, bounded: a stream that refuses to become much larger than a real data file would.

gzip (several members too) and zstd, found by their magic bytes. What the bytes mean once decoded is not known
here.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from base.formats.types import Compression, InputRefused

# Real tables compress 3 to 30 times. Beyond FREE_BYTES of output a ratio above MAX_RATIO is taken for a bomb.
MAX_RATIO = 200
FREE_BYTES = 64 << 20

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def detect(first_bytes: bytes) -> Compression | None:
    return next((name for magic, name in _MAGIC.items() if first_bytes.startswith(magic)), None)


class DecodedStream:
    """Reads a file's decoded bytes; raises InputRefused where they are damaged or grow beyond the limits."""

    def __init__(
        self, stream: Any, raw: Any, compression: Compression | None, max_decoded_bytes: int
    ) -> None:
        self._stream, self._raw = stream, raw
        self._compression = compression
        self._limit = max_decoded_bytes
        self._decoded = 0

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, fewer only at the end."""
        parts = []
        while size > 0:
            part = self._read_some(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _read_some(self, size: int) -> bytes:
        try:
            part: bytes = self._stream.read(size)
        except (EOFError, OSError, zlib.error, pa.ArrowException) as error:
            raise InputRefused(
                "unreadable_bytes",
                f"the {self._compression} data are damaged or cut off behind {self._decoded} decoded bytes "
                f"({error}); compress and send the file again",
            ) from error
        self._decoded += len(part)
        self._check_size()
        return part

    def _check_size(self) -> None:
        if self._decoded > self._limit:
            raise InputRefused(
                "decoded_too_large",
                f"the file holds more than {self._limit} bytes once decoded, the limit here; split it",
            )
        ratio = self._decoded / max(self._raw.tell(), 1)
        if self._compression and self._decoded > FREE_BYTES and ratio > MAX_RATIO:
            raise InputRefused(
                "decoded_too_large",
                f"the file unpacks to more than {MAX_RATIO} times its size, so it is taken for a "
                "decompression bomb; send it uncompressed",
            )


@contextmanager
def open_decoded(
    path: Path, compression: Compression | None, *, max_decoded_bytes: int
) -> Iterator[DecodedStream]:
    """The decoded bytes of ``path`` as a stream."""
    if compression == "zstd":
        with pa.OSFile(str(path)) as raw, pa.CompressedInputStream(raw, "zstd") as stream:
            yield DecodedStream(stream, raw, compression, max_decoded_bytes)
        return
    with path.open("rb") as raw:
        stream = gzip.GzipFile(fileobj=raw) if compression else raw
        yield DecodedStream(stream, raw, compression, max_decoded_bytes)
