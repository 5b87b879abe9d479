"""Every question about jobs, as plain SELECTs: the API, the pages and the command line all ask here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, cast, func, select

from base.database import Database
from base.database.tables import chunks, inputs, jobs, owned, ticks, versions, workers
from jobs.errors import Problem
from jobs.records import Chunk, Input, Job
from jobs.results import shift
from jobs.states import FINAL, ChunkStatus, JobStatus
from models.manifest import SKLEARN
from models.names import parse


@dataclass(frozen=True)
class Tally:
    """Chunks of a job by state, and the share of the input that is committed (0 to 1).

    What a retry took over from its parent is ``reused``: committed, but not by this job's work.
    """

    pending: int
    running: int
    done: int
    failed: int
    retried: int
    share_done: float
    share_reused: float
    rows_reused: int


@dataclass(frozen=True)
class JobView:
    """A job with all that its resource shows."""

    job: Job
    input: Input
    tally: Tally
    rows_per_second: float | None
    eta_seconds: float | None
    errors_preview: list[dict[str, Any]]
    scorer: str | None  # of the job's version; None if that is gone


def find_job(database: Database, owner: str, job_id: str) -> Job:
    """One job of an owner. Raises ``Problem`` (``job_not_found``), also for another owner's."""
    with database.reading() as connection:
        row = connection.execute(select(jobs).where(and_(jobs.c.id == job_id, owned(jobs, owner)))).first()
    if row is None:
        raise Problem("job_not_found", f"There is no job {job_id!r}. GET /jobs lists yours.")
    return Job.from_row(row)


def view_job(database: Database, owner: str, job_id: str) -> JobView:
    """One job with its input, progress and pace."""
    return view(database, find_job(database, owner, job_id))


def view(database: Database, job: Job) -> JobView:
    """What the resource of ``job`` shows now."""
    with database.reading() as connection:
        source = Input.from_row(connection.execute(select(inputs).where(inputs.c.id == job.input_id)).one())
        tally = _tally(connection, job)
        now = database.now(connection)
        preview = _preview(connection, job, source)
        scorer = _scorer(connection, job)
    pace, eta = _pace(job, tally, now)
    return JobView(job, source, tally, pace, eta, preview, scorer)


def _scorer(connection: Any, job: Job) -> str | None:
    """Not the whole manifest, which may be long: a job is asked about at every poll."""
    record = versions.c.manifest["scorer"]
    query = select(record["kind"].as_string(), record["scores_batches"].as_boolean()).where(
        versions.c.name == job.model_name, versions.c.version == job.model_version
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return row[0] if row[0] and row[1] else SKLEARN


def _tally(connection: Any, job: Job) -> Tally:
    size = chunks.c.stop - chunks.c.start
    untried = and_(chunks.c.attempt == 0, chunks.c.status == ChunkStatus.DONE)
    query = (
        select(
            chunks.c.status,
            func.count(),
            func.coalesce(func.sum(case((chunks.c.attempt > 1, 1), else_=0)), 0),
            func.coalesce(func.sum(size), 0),
            func.coalesce(func.sum(case((untried, size), else_=0)), 0),
            func.coalesce(func.sum(case((untried, chunks.c.rows), else_=0)), 0),
        )
        .where(chunks.c.job_id == job.id)
        .group_by(chunks.c.status)
    )
    found = {row[0]: [int(number) for number in row[1:]] for row in connection.execute(query)}
    none = [0, 0, 0, 0, 0]
    everything = sum(numbers[2] for numbers in found.values())
    done = found.get(ChunkStatus.DONE, none)
    share = 1.0 if job.status == JobStatus.SUCCEEDED else done[2] / everything if everything else 0.0
    return Tally(
        pending=found.get(ChunkStatus.PENDING, none)[0],
        running=found.get(ChunkStatus.RUNNING, none)[0],
        done=done[0],
        failed=found.get(ChunkStatus.FAILED, none)[0],
        retried=sum(numbers[1] for numbers in found.values()),
        share_done=share,
        share_reused=done[3] / everything if everything else 0.0,
        rows_reused=done[4],
    )


def _pace(job: Job, tally: Tally, now: float) -> tuple[float | None, float | None]:
    """Rows per second since the first chunk could run, and seconds left at that pace."""
    if job.started_at is None:
        return None, None
    elapsed = max((job.finished_at or now) - job.started_at, 1e-3)
    rows, share = job.rows_done - tally.rows_reused, tally.share_done - tally.share_reused
    pace = rows / elapsed if rows else None
    if job.done or share <= 0:
        return pace, None
    return pace, elapsed * (1 - tally.share_done) / share


def _preview(connection: Any, job: Job, source: Input) -> list[dict[str, Any]]:
    """The first row errors with absolute numbers, as far as all chunks before theirs are committed."""
    if not job.errors_preview:
        return []
    last = max(error["chunk"] for error in job.errors_preview)
    before = and_(chunks.c.job_id == job.id, chunks.c.index <= last)
    # asked at every poll, so without what a chunk has besides
    query = select(chunks.c.rows, chunks.c.lines).where(before).order_by(chunks.c.index)
    starts: list[tuple[int | None, int | None]] = []
    row: int | None = 0
    line: int | None = first_line(source)
    for chunk in connection.execute(query):
        starts.append((row, line))
        row = None if row is None or chunk.rows is None else row + chunk.rows
        line = None if line is None or chunk.lines is None else line + chunk.lines
    shown = []
    for error in job.errors_preview:
        plain = {key: value for key, value in error.items() if key != "chunk"}
        shown.append(shift(plain, *starts[error["chunk"]]))
    return shown


def first_line(source: Input) -> int:
    """Number of the text line on which the first record starts, counted from 1."""
    return source.parsed_shape.header_lines + 1


def list_jobs(
    database: Database,
    owner: str,
    *,
    status: str | None,
    model: str | None,
    tag: str | None,
    before: str | None,
    limit: int,
) -> list[Job]:
    """Newest first; ``before`` is the id of the last job already seen (ids grow with time).

    Raises ``ModelError`` or ``Problem`` for a ``model`` that is neither a name nor a version.
    """
    conditions: list[ColumnElement[bool]] = [owned(jobs, owner)]
    if status:
        conditions.append(jobs.c.status == status)
    if model:
        name, version, alias = parse(model)
        if alias is not None:
            raise Problem("bad_option", f"model can be {name} or a version such as {name}@1, not an alias.")
        conditions.append(jobs.c.model_name == name)
        if version is not None:
            conditions.append(jobs.c.model_version == version)
    if tag:
        # not LIKE, which knows no case on SQLite
        tags = cast(jobs.c.tags, String)
        conditions.append(func.replace(tags, json.dumps(tag), "") != tags)
    if before:
        conditions.append(jobs.c.id < before)
    query = select(jobs).where(and_(*conditions)).order_by(jobs.c.id.desc()).limit(limit)
    with database.reading() as connection:
        return Job.from_rows(connection.execute(query))


def count_open_jobs(database: Database) -> int:
    """Jobs of all owners that have not ended."""
    still_open = [status for status in JobStatus if status not in FINAL]
    query = select(func.count()).select_from(jobs).where(jobs.c.status.in_(still_open))
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def list_chunks(database: Database, job_id: str) -> list[Chunk]:
    """All chunks of a job in order."""
    query = select(chunks).where(chunks.c.job_id == job_id).order_by(chunks.c.index)
    with database.reading() as connection:
        return Chunk.from_rows(connection.execute(query))


def revision(database: Database, owner: str, job_id: str) -> int | None:
    """The number that every change of a job raises; None if there is no such job."""
    query = select(jobs.c.revision).where(and_(jobs.c.id == job_id, owned(jobs, owner)))
    with database.reading() as connection:
        return connection.execute(query).scalar()


def live_workers(connection: Any, now: float, silent_seconds: float) -> int:
    """Scoring processes that were seen within ``silent_seconds``."""
    lately = workers.c.seen_at.between(now - silent_seconds, now + silent_seconds)  # later: by a wrong clock
    query = select(func.count()).select_from(workers).where(lately)
    return int(connection.execute(query).scalar_one())


def count_live_workers(database: Database, silent_seconds: float) -> int:
    """The same, on a connection of its own."""
    with database.reading() as connection:
        return live_workers(connection, database.now(connection), silent_seconds)


def last_tick(database: Database) -> float | None:
    """Seconds since the caretaker was last at work; None if it never was."""
    with database.reading() as connection:
        ticked_at = connection.execute(select(ticks.c.ticked_at)).scalar()
        return None if ticked_at is None else database.now(connection) - ticked_at
