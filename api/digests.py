"""``Content-Digest`` and ``Repr-Digest`` of a request (RFC 9530): what the client says that it sends.

A request carries its representation whole, so the two say the same here. Algorithms that are not in the
table below are ignored, as the RFC wants it; what is no digest is refused, for somebody relies on it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from flask import Request

from jobs.errors import Problem

ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
FIELDS = ("Content-Digest", "Repr-Digest")
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;.*)?")


class BodyDigests:
    """Hashes a body as it passes, and compares with what was announced; costs nothing if nothing was."""

    def __init__(self, request: Request) -> None:
        self._expected = [
            (field, algorithm, digest) for field in FIELDS for algorithm, digest in _announced(request, field)
        ]
        self._hashes: dict[str, Any] = {
            algorithm: hashlib.new(ALGORITHMS[algorithm]) for _, algorithm, _ in self._expected
        }

    def sha256(self) -> str | None:
        """The announced SHA-256 in hexadecimal, if there is one."""
        found = [digest.hex() for _, algorithm, digest in self._expected if algorithm == "sha-256"]
        return found[0] if found else None

    def watch(self, block: bytes) -> None:
        """Take the next block; nothing means the end.

        Raises ``Problem`` (``content_digest_mismatch``) at the end of a body that is not what was announced.
        """
        for known in self._hashes.values():
            known.update(block)
        if not block:
            self._verify()

    def _verify(self) -> None:
        for field, algorithm, digest in self._expected:
            found = self._hashes[algorithm].digest()
            if found != digest:
                raise Problem(
                    "content_digest_mismatch",
                    f"The body arrived with {algorithm}=:{base64.b64encode(found).decode()}:, but "
                    f"{field} says :{base64.b64encode(digest).decode()}:. "
                    "Nothing was accepted; send it again.",
                )


def _announced(request: Request, field: str) -> list[tuple[str, bytes]]:
    text = request.headers.get(field, "")
    found = []
    for member in text.split(",") if text.strip() else []:
        match = _MEMBER.fullmatch(member)
        if match is None:
            raise _unreadable(field, member)
        if match[1] in ALGORITHMS:
            found.append((match[1], _decoded(field, member, match[1], match[2])))
    return found


def _decoded(field: str, member: str, algorithm: str, text: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _unreadable(field, member) from None
    if len(digest) != hashlib.new(ALGORITHMS[algorithm]).digest_size:
        raise _unreadable(field, member)
    return digest


def _unreadable(field: str, member: str) -> Problem:
    return Problem(
        "bad_digest",
        f"{field} has {member.strip()[:100]!r}, which is no digest as RFC 9530 has it. "
        "Send sha-256=:...:, with 32 bytes in base64 between the colons.",
    )
