"""The options of a submission under their HTTP names, and how Python values become query parameters.

Whether a value is allowed is the server's knowledge: it refuses an unknown option or value by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class JobOptions(TypedDict, total=False):
    """Keyword arguments of `Client.submit` and `Client.score`; a sequence is sent joined by commas."""

    name: str | None
    tags: str | Sequence[str] | None
    keep: str | Sequence[str] | None
    outputs: str | Sequence[str] | None
    on_error: Literal["null", "fail"] | None
    max_row_errors: int | str | None
    chunk_rows: int | None
    ttl: float | str | None
    deadline: float | str | None
    delimiter: str | None
    decimal: str | None
    charset: str | None
    header: bool | None
    null_values: str | Sequence[str] | None


class RetryOptions(TypedDict, total=False):
    """Keyword arguments of `Job.retry`; what is not given is as it was."""

    name: str | None
    tags: str | Sequence[str] | None
    on_error: Literal["null", "fail"] | None
    max_row_errors: int | str | None
    ttl: float | str | None
    deadline: float | str | None


class CloneOptions(RetryOptions, total=False):
    """Keyword arguments of `Job.clone`."""

    keep: str | Sequence[str] | None
    outputs: str | Sequence[str] | None
    chunk_rows: int | None


def as_query(options: Mapping[str, Any]) -> dict[str, str]:
    """Query parameters of the options that are set; None means "as the server does it"."""
    texts = {
        name: _as_text(value) for name, value in options.items() if value is not None and name != "header"
    }
    return texts | ({"header": "none"} if options.get("header") is False else {})


def _as_text(value: object) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value)
    return ",".join(str(item) for item in value)
