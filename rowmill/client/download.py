"""Fetching a result: it goes on where a broken connection stopped, is verified, and appears whole or not.

The Parquet result is a fixed file with an ETag and a digest. The CSV and JSON Lines views are made while they
are sent: they have neither, so they start again from their first byte.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from rowmill.client.errors import ConnectError, DigestMismatch
from rowmill.client.transport import Transport
from rowmill.client.upload import BLOCK_BYTES, Progress

DROPS_ALLOWED = 5  # in a row, without one byte between them
AS_STORED = {"Accept-Encoding": "identity"}  # ranges and digests count the bytes of the file itself


@dataclass(frozen=True)
class Remote:
    """A result as its headers describe it; `etag` is None for a view that cannot be resumed."""

    path: str
    etag: str | None
    size_bytes: int | None
    sha256: bytes | None


def read(transport: Transport, path: str) -> Iterator[bytes]:
    """The bytes of a result for a pipe; DigestMismatch can come only after the last block."""
    remote, first = _ask(transport, path)
    hasher = hashlib.sha256()
    for block in _blocks(transport, remote, first, 0):
        hasher.update(block)
        yield block
    _verify(remote, hasher.digest())


def save(transport: Transport, path: str, target: Path, progress: Progress | None) -> None:
    """Download to `target` by way of a file beside it, kept for the next try if this one breaks off."""
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name the file to write")
    remote, first = _ask(transport, path)
    partial = target.with_name(f"{target.name}.{_mark(remote)}.part")
    worth_keeping = remote.etag is not None
    try:
        partial.touch()
        with partial.open("r+b") as file:
            digest = _fill(transport, remote, first, file, progress)
        _verify(remote, digest)
        partial.replace(target)
    except DigestMismatch:
        worth_keeping = False
        raise
    finally:
        first.close()
        if not worth_keeping:
            partial.unlink(missing_ok=True)


def _ask(transport: Transport, path: str) -> tuple[Remote, httpx.Response]:
    """Open the result from its first byte and read what its headers say."""
    response = transport.open("GET", path, headers=AS_STORED, stream=True)
    etag = response.headers.get("ETag")
    fixed = (
        etag is not None and not etag.startswith("W/") and response.headers.get("Accept-Ranges") == "bytes"
    )
    size = response.headers.get("Content-Length")
    digest = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", response.headers.get("Repr-Digest", ""))
    return (
        Remote(path, etag if fixed else None, int(size) if size else None, _decoded(digest)),
        response,
    )


def _decoded(digest: re.Match[str] | None) -> bytes | None:
    return base64.b64decode(digest[1]) if digest else None


def _mark(remote: Remote) -> str:
    """Names the version of the result, so that a partial file is never continued with other bytes."""
    if remote.etag is None:
        return secrets.token_hex(6)
    return hashlib.sha256(f"{remote.path} {remote.etag}".encode()).hexdigest()[:12]


def _fill(
    transport: Transport, remote: Remote, first: httpx.Response, file: BinaryIO, progress: Progress | None
) -> bytes:
    """Bring a partial file to its full length; return the SHA-256 of the whole."""
    hasher = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        hasher.update(block)
    have = file.tell()
    if have and have == remote.size_bytes:
        return hasher.digest()
    for block in _blocks(transport, remote, first, have):
        file.write(block)
        hasher.update(block)
        have += len(block)
        if progress:
            progress(have, remote.size_bytes)
    return hasher.digest()


def _blocks(transport: Transport, remote: Remote, first: httpx.Response, start: int) -> Iterator[bytes]:
    """The bytes from `start` on, over as many connections as it takes; `first` is open at the first byte."""
    position, drops = start, 0
    response = _reopen(transport, remote, first, position) if start else first
    while True:
        with closing(response):
            try:
                for block in response.iter_raw():
                    yield block
                    position, drops = position + len(block), 0
                return
            except httpx.TransportError as error:
                drops += 1
                if drops > DROPS_ALLOWED or remote.etag is None:
                    of_all = f" of {remote.size_bytes:,}" if remote.size_bytes else ""
                    raise ConnectError(
                        f"connection lost after {position:,}{of_all} bytes: {error}"
                    ) from error
        response = _reopen(transport, remote, response, position)


def _reopen(transport: Transport, remote: Remote, last: httpx.Response, position: int) -> httpx.Response:
    last.close()
    headers = AS_STORED | {"Range": f"bytes={position}-", "If-Range": str(remote.etag)}
    response = transport.open("GET", remote.path, headers=headers, stream=True)
    if response.status_code != 206:
        response.close()
        raise DigestMismatch(f"the result at {remote.path} changed while it was read; download it again")
    return response


def _verify(remote: Remote, digest: bytes) -> None:
    if remote.sha256 is not None and digest != remote.sha256:
        raise DigestMismatch(
            f"the result at {remote.path} arrived with SHA-256 {digest.hex()}, "
            f"the server announced {remote.sha256.hex()}; download it again"
        )
