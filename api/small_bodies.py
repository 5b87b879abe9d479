"""Bodies that are answered on the spot: read whole, under a limit that also holds for what they decode to."""

from __future__ import annotations

import gzip
import io
import zlib

from flask import Request, g

from api import uploads
from jobs.errors import Problem

CODINGS = ("identity", "gzip", "deflate")


def read_small(request: Request, most: int) -> bytes:
    """The whole body, decoded; its length is kept as ``g.body_bytes``.

    Raises ``Problem``: ``too_large``, ``unsupported_encoding``, ``bad_request``, ``incomplete_body``.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower() or "identity"
    if coding not in CODINGS:
        raise Problem(
            "unsupported_encoding", f"Content-Encoding {coding[:50]!r} is not known; {CODINGS} are."
        )
    body = _decoded(_received(request, most), coding, most)
    g.body_bytes = len(body)
    return body


def _received(request: Request, most: int) -> bytes:
    if (request.content_length or 0) > most:
        raise _too_large(most)
    blocks, sent = bytearray(), uploads.Body(request)
    while block := sent.read(uploads.BLOCK_BYTES):
        blocks += block
        if len(blocks) > most:
            raise _too_large(most)
    return bytes(blocks)


def _decoded(body: bytes, coding: str, most: int) -> bytes:
    if coding == "identity":
        return body
    try:
        decoded = _inflated(body, most) if coding == "deflate" else _unzipped(body, most)
    except (OSError, EOFError, zlib.error) as error:
        text = f"The body is not {coding}, though Content-Encoding says so ({error})."
        raise Problem("bad_request", text) from error
    if len(decoded) > most:
        raise _too_large(most)
    return decoded


def _unzipped(body: bytes, most: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
        return stream.read(most + 1)


def _inflated(body: bytes, most: int) -> bytes:
    """One byte more than ``most`` tells that there is more; nothing decodes to more than that."""
    stream = zlib.decompressobj()
    decoded = stream.decompress(body, most + 1)
    if len(decoded) <= most and not stream.eof:
        raise EOFError("it breaks off")
    return decoded


def _too_large(most: int) -> Problem:
    return Problem(
        "too_large",
        f"The body is over the limit of {most} bytes (setting max_predict_bytes), as sent or decoded. "
        "Send a file to POST /jobs.",
    )
