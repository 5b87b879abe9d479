"""What must hold when a run is over: of every job, in the database, on the disk, and among the processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, case, func, select

from base.broker import QUEUE
from base.database import Database
from base.database.tables import attempts, chunks, inputs, jobs
from base.settings import Settings
from jobs.orphans import remove_orphans
from jobs.states import JobStatus
from jobs.stores import Stores
from rowmill.stack.record import MARK
from tests.chaos.files import right
from tests.chaos.redis_server import RedisServer
from tests.chaos.users import Sent, lasting
from tests.waiting import wait_until

FOLDERS = ("inputs", "jobs", "staging")
OLD_SECONDS = 2 * 24 * 3600
QUEUE_SECONDS = 60
# How a job may end of whose bytes some were changed, if it does not succeed with the right answers.
DAMAGED = {"part_damaged", "input_changed"}


def judge_job(url: str, job: Sent, hurt: dict[str, str]) -> list[str]:
    """It ended as it may and stays so, and its result has each row once, in order, with the right value."""
    answer = httpx.get(f"{url}/jobs/{job.id}", timeout=30)
    if answer.status_code != 200:
        return [f"job {job.id}: {answer.status_code} {answer.text[:300]}"]
    now, wrong = answer.json(), []
    name = f"job {job.id} ({job.kind.name}{', hurt: ' + hurt[job.id] if job.id in hurt else ''})"
    if lasting(now) != job.ended:
        wrong.append(f"{name} changed after its end from {job.ended} to {lasting(now)}")
    if now["status"] == "succeeded":
        return wrong + _judge_result(url, job, name)
    as_asked = now["status"] == "cancelled" and job.cancelled
    by_damage = now["status"] == "failed" and job.id in hurt and now["error"]["code"] in DAMAGED
    return wrong if as_asked or by_damage else [*wrong, f"{name} {now['status']}: {now['error']}"]


def _judge_result(url: str, job: Sent, name: str) -> list[str]:
    answer = httpx.get(f"{url}/jobs/{job.id}/result", timeout=60)
    if answer.status_code != 200:
        return [f"result of {name}: {answer.status_code} {answer.text[:300]}"]
    predictions = pq.read_table(pa.BufferReader(answer.content)).column("prediction").to_pylist()
    return [] if right(job.kind, predictions) else [f"the result of {name} is wrong"]


def judge_queue(redis: RedisServer) -> list[str]:
    """No message waits once all jobs have ended."""
    with redis.connect() as client:
        try:
            wait_until(lambda: client.llen(QUEUE) == 0, "the queue is empty", QUEUE_SECONDS)
        except AssertionError as full:
            return [f"{full}: {client.llen(QUEUE)} messages"]
    return []


def judge_database(database: Database, max_attempts: int) -> list[str]:
    """One committed attempt for each chunk, none too many, and counters that add up."""
    done = func.coalesce(func.sum(case((attempts.c.outcome == "done", 1), else_=0)), 0)
    by_chunk = (
        select(chunks.c.job_id, chunks.c.index, chunks.c.status, chunks.c.attempt, chunks.c.excused, done)
        .join(
            attempts,
            (attempts.c.job_id == chunks.c.job_id) & (attempts.c.index == chunks.c.index),
            isouter=True,
        )
        .group_by(chunks.c.job_id, chunks.c.index)
    )
    wrong = []
    with database.reading() as connection:
        for job_id, index, status, tries, excused, commits in connection.execute(by_chunk):
            if commits != (status == "done"):
                wrong.append(f"job {job_id} chunk {index} is {status} and has {commits} commits")
            if tries - excused > max_attempts:
                wrong.append(f"job {job_id} chunk {index} was tried {tries} times, {excused} excused")
        for job in connection.execute(select(jobs)):
            committed = (chunks.c.job_id == job.id) & (chunks.c.status == "done")
            rows = connection.execute(select(func.sum(chunks.c.rows)).where(committed)).scalar() or 0
            if rows != job.rows_done:
                wrong.append(f"job {job.id} counts {job.rows_done} rows, its chunks {rows}")
    return wrong


@dataclass(frozen=True)
class Effort:
    """What was done, and what the faults cost: rows that count, chunks in all, those that were tried again,
    and tries that led to nothing."""

    rows: int
    chunks: int
    retried: int
    lost: int


def effort(database: Database) -> Effort:
    """Count attempts."""
    with database.reading() as connection:
        rows = connection.execute(select(func.coalesce(func.sum(jobs.c.rows_done), 0)))
        count = connection.execute(select(func.count()).select_from(chunks))
        retried = select(func.count()).select_from(chunks).where(chunks.c.attempt > 1)
        lost = select(func.count()).select_from(attempts).where(attempts.c.outcome.is_distinct_from("done"))
        found = (rows, count, connection.execute(retried), connection.execute(lost))
        return Effort(*(int(each.scalar_one()) for each in found))


def story(database: Database, job_id: str) -> Iterator[str]:
    """What the job's row says, every try at a chunk that did not go well, and chunks that are not done."""
    failed = attempts.c.outcome.is_distinct_from("done")
    tries = select(attempts).where(attempts.c.job_id == job_id, failed)
    queries = (
        select(jobs).where(jobs.c.id == job_id),
        tries.order_by(attempts.c.index, attempts.c.attempt),
        select(chunks).where(chunks.c.job_id == job_id, chunks.c.status != "done"),
    )
    with database.reading() as connection:
        for query in queries:
            for row in connection.execute(query).mappings():
                yield str({name: value for name, value in row.items() if value is not None})


def judge_processes(stack_id: str) -> list[str]:
    """Nothing that the stack started is left."""
    return [f"process {process.pid} is left: {process.cmdline()}" for process in _marked(stack_id)]


def _marked(stack_id: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == stack_id:
                yield process
        except psutil.Error:  # gone meanwhile, or of another user
            continue


def judge_files(settings: Settings) -> list[str]:
    """Every file that a row names is there; the caretaker's sweep takes all others once they are old."""
    root, old = settings.data_dir, time.time() - OLD_SECONDS
    for path in _files(root):
        os.utime(path, (old, old))
    for folder in FOLDERS:
        for path in (root / folder).glob("*"):
            os.utime(path, (old, old))
    stores = Stores.connect(settings)
    remove_orphans(stores)
    with stores.database.reading() as connection:
        named = set(_named(connection))
    stores.close()
    kept = {str(path.relative_to(root)) for path in _files(root)}
    return [
        *(f"no row names the file {name}" for name in sorted(kept - named)),
        *(f"the file {name} is missing" for name in sorted(named - kept)),
    ]


def _files(root: Path) -> list[Path]:
    return [path for folder in FOLDERS for path in root.glob(f"{folder}/**/*") if path.is_file()]


def _named(connection: Connection) -> Iterator[str]:
    for row in connection.execute(select(inputs.c.file, inputs.c.decoded_file, inputs.c.index_file)):
        yield from filter(None, row)
    for result in connection.execute(select(jobs.c.result).where(jobs.c.result.is_not(None))).scalars():
        if result:
            yield result["file"]
    parts = select(chunks.c.part, jobs.c.status).join(jobs, jobs.c.id == chunks.c.job_id)
    for part, status in connection.execute(parts):
        if part:
            yield from filter(None, [part["errors_file"]])
            if status != JobStatus.SUCCEEDED:
                yield part["file"]
