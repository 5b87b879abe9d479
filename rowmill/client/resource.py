"""The job resource as the server sends it, typed for callers.

Plain dictionaries at run time: a newer server may send more keys, and a program that prints them as JSON
shall see all of them.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Format = Literal["parquet", "csv", "jsonl"]


class JobModel(TypedDict):
    """The version that a job is pinned to."""

    name: str
    version: int
    sha256: str


class JobRows(TypedDict):
    """Counts of data rows; `total` is None until it is known."""

    total: int | None
    done: int
    failed: int


class JobChunks(TypedDict):
    """Counts of chunks by state; `total` is None until the input is planned."""

    total: int | None
    pending: int
    running: int
    done: int
    failed: int
    retried: int


class JobInput(TypedDict):
    """The uploaded file."""

    name: str | None
    format: str
    bytes: int
    sha256: str


class JobResource(TypedDict):
    """One job; times are RFC 3339 in UTC. A status of a newer server may be unknown here: trust `done`."""

    id: str
    name: str | None
    owner: str
    status: str
    done: bool
    retry_of: str | None
    model: JobModel
    rows: JobRows
    chunks: JobChunks
    rows_per_second: float | None
    eta_seconds: float | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    input: JobInput
    error: dict[str, Any] | None
    errors_preview: list[dict[str, Any]]
    warnings: list[Any]
    tags: list[str]
    links: dict[str, str]


class RowError(TypedDict):
    """One bad row: `row` counts data rows from 0, `line` the lines of a text file from 1."""

    row: int
    line: int | None
    column: str | None
    value: str | None
    code: str
    message: str
