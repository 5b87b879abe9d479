"""What gunicorn lets pass and HTTP (RFC 9110, 9112) does not: others on the way may read it otherwise."""

from __future__ import annotations

from typing import Any

from gunicorn.http.errors import UnsupportedTransferCoding

# The version that this server speaks; it says so in its answers to HTTP/1.2.
VERSION = (1, 1)


def make_strict(request: Any) -> None:
    """Correct a request of gunicorn's as the standard has it, before it is answered.

    Raises UnsupportedTransferCoding for all but ``chunked``: gunicorn takes the chunks off, and hands on what
    is compressed below as if it were not.
    """
    request.version = min(request.version, VERSION)
    codings = []
    for name, value in request.headers:
        if name == "TRANSFER-ENCODING":
            codings.append(value)
        elif name == "CONNECTION" and "close" in [option.strip() for option in value.lower().split(",")]:
            request.force_close()  # gunicorn sees it where it stands alone, and first
    if codings and [coding.lower() for coding in codings] != ["chunked"]:
        raise UnsupportedTransferCoding(", ".join(codings))
