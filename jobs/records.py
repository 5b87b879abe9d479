"""Rows of the database as frozen records, and what follows from them. No record can reach the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

from sqlalchemy import Row

from base.formats import InputShape
from jobs.errors import Problem
from jobs.states import FINAL, JobStatus


@dataclass(frozen=True)
class Record:
    """A row with typed fields; columns that a record does not name are left out."""

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """Build the record from a row that has at least its fields as columns."""
        values = row._mapping
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    @classmethod
    def from_rows(cls, rows: Iterable[Row[Any]]) -> list[Self]:
        """Build one record a row."""
        return [cls.from_row(row) for row in rows]


@dataclass(frozen=True)
class Input(Record):
    """An uploaded file."""

    id: str
    owner: str
    name: str
    bytes: int
    sha256: str
    shape: dict[str, Any]
    file: str
    decoded_file: str | None
    index_file: str | None
    stamps: dict[str, list[int]] | None
    created_at: float

    @property
    def parsed_shape(self) -> InputShape:
        """What the head of the file told, as the formats room understands it."""
        return InputShape.from_json(self.shape)

    @property
    def readable_file(self) -> str:
        """The stored file that chunks are ranges of."""
        return self.decoded_file or self.file

    @property
    def member_index(self) -> str:
        """The stored index that chunks of an archive are slices of. Raises ``Problem`` if there is none."""
        if self.index_file is None:
            raise Problem(
                "no_member_index",
                "The job was planned by a version that wrote no index of an archive. Send it again.",
            )
        return self.index_file


@dataclass(frozen=True)
class Job(Record):
    """One submission."""

    id: str
    owner: str
    name: str | None
    tags: list[str]
    status: str
    model_name: str
    model_version: int
    model_sha256: str
    input_id: str
    request_sha256: str | None
    retry_of: str | None
    options: dict[str, Any]
    warnings: list[str]
    rows_total: int | None
    rows_done: int
    rows_failed: int
    chunks_total: int | None
    chunks_done: int
    step_attempt: int
    step_excused: int
    error: dict[str, Any] | None
    error_counts: dict[str, int]
    errors_preview: list[dict[str, Any]]
    result: dict[str, Any] | None
    revision: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float
    expired_at: float | None
    deadline_at: float | None

    @property
    def done(self) -> bool:
        """Whether the job has ended, one way or another."""
        return JobStatus(self.status) in FINAL


@dataclass(frozen=True)
class Chunk(Record):
    """A contiguous run of the input's rows that one task scores."""

    job_id: str
    index: int
    start: int
    stop: int
    status: str
    attempt: int
    excused: int
    rows: int | None
    lines: int | None
    rows_failed: int | None
    part: dict[str, Any] | None


@dataclass(frozen=True)
class Claim:
    """A worker's right to one attempt at a chunk; ``attempt`` is the fence of every later write."""

    job: Job
    input: Input
    chunk: Chunk
    crashes: int  # attempts before this one that took their process with them, or ran out of memory

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self.chunk.attempt

    @property
    def excused(self) -> int:
        """Attempts before this one that do not count towards the most allowed."""
        return self.chunk.excused


@dataclass(frozen=True)
class StepClaim:
    """A worker's right to one attempt at planning or finishing a job."""

    job: Job
    input: Input

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self.job.step_attempt

    @property
    def excused(self) -> int:
        """Attempts before this one that do not count towards the most allowed."""
        return self.job.step_excused
