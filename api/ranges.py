"""Range headers as RFC 9110 (section 14) has them, for a server library that answers some of them wrongly.

Werkzeug answers 416 to a suffix longer than the file (the whole file is meant), to several ranges and to
malformed or unknown units (a server may, and must, ignore those). DuckDB's first request is a long suffix.
It also takes a weak tag, and any later date, for a match of If-Range, where only the exact one will do.
"""

from __future__ import annotations

import re

from werkzeug.http import parse_date

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


def holds(if_range: str | None, etag: str, modified_at: float) -> bool:
    """Whether the client's copy, by its If-Range, is the file as it is, so that a Range may be served."""
    if if_range is None or if_range.strip() == f'"{etag}"':
        return True
    date = parse_date(if_range)
    return date is not None and date.timestamp() == int(modified_at)


def normalised(header: str | None, size_bytes: int) -> str | None:
    """The header as Werkzeug understands it, or None if it must be ignored."""
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        suffix = int(last)
        return f"bytes={max(0, size_bytes - suffix)}-" if suffix else f"bytes={size_bytes}-"
    if last and int(last) < int(first):
        return None
    return f"bytes={first}-{last}"
