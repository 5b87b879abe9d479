"""Times as everybody outside sees them; inside they are seconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """UTC to the millisecond: ``2026-11-20T11:08:30.526Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
