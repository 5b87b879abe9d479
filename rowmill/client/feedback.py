"""True labels on their way to the server: entries as JSON, anything else as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import httpx

from rowmill.client.options import as_query
from rowmill.client.transport import Transport
from rowmill.client.upload import opened

if TYPE_CHECKING:
    from rowmill.client.upload import Source

    Labels = Source | Sequence[Mapping[str, Any]]

# The answer comes when all labels are joined, which takes minutes for millions.
LIMITS = httpx.Timeout(connect=5, read=1800, write=60, pool=None)


def send(transport: Transport, labels: Labels, options: Mapping[str, str | None]) -> dict[str, Any]:
    """What the server answers. Labels may be sent again after a lost connection: twice is once."""
    request: dict[str, Any] = {"params": as_query(options), "timeout": LIMITS}
    if isinstance(labels, list | tuple) and all(isinstance(entry, Mapping) for entry in labels):
        told = transport.json("POST", "/feedback", json={"labels": labels}, repeat=True, **request)
        return cast("dict[str, Any]", told)
    with opened(cast("Source", labels), None) as upload:
        told = transport.json(
            "POST",
            "/feedback",
            headers=upload.headers(),
            body=upload.blocks,
            repeat=upload.repeatable,
            **request,
        )
        return cast("dict[str, Any]", told)
