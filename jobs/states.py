"""The states of a job and of a chunk, and the moves between them, as data.

Nothing here reads or writes: every write elsewhere names the state that it expects to find, and takes its
allowed targets from these tables. ``docs/states.md`` draws them; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"  # accepted, nothing done yet
    PLANNING = "planning"  # a worker cuts the input into chunks
    SCORING = "scoring"  # chunks are scored
    FINISHING = "finishing"  # every chunk is committed; the parts are being joined
    SUCCEEDED = "succeeded"  # the result stands
    FAILED = "failed"  # the job's error says why
    CANCELLED = "cancelled"  # somebody asked for it


class ChunkStatus(StrEnum):
    """Where a chunk stands."""

    PENDING = "pending"  # waits for a worker
    RUNNING = "running"  # a worker holds a lease on it
    DONE = "done"  # one attempt is committed
    FAILED = "failed"  # tried as often as allowed; its job has failed


JOB_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.PLANNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.PLANNING: frozenset(
        {JobStatus.SCORING, JobStatus.FINISHING, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.SCORING: frozenset({JobStatus.FINISHING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.FINISHING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

CHUNK_MOVES: dict[ChunkStatus, frozenset[ChunkStatus]] = {
    ChunkStatus.PENDING: frozenset({ChunkStatus.RUNNING}),
    ChunkStatus.RUNNING: frozenset({ChunkStatus.DONE, ChunkStatus.PENDING, ChunkStatus.FAILED}),
    ChunkStatus.DONE: frozenset(),
    ChunkStatus.FAILED: frozenset(),
}

FINAL = frozenset(status for status, moves in JOB_MOVES.items() if not moves)


def before(target: JobStatus) -> tuple[JobStatus, ...]:
    """The states from which a job may move to ``target``."""
    return tuple(status for status, moves in JOB_MOVES.items() if target in moves)
