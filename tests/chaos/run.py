"""One run of chaos: a stack, users, a nemesis, and the checker that judges what is left."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import case, func, select

from base.database import Database
from base.database.tables import attempts, chunks, jobs
from base.settings import Settings
from models.adding import NewVersion
from models.manifest import ImageSpec
from models.registry import Registry
from rowmill.stack import Stack
from tests.chaos.nemesis import Nemesis
from tests.chaos.workload import Follower, History, Sent, User, kinds, right
from tests.hurt_stack import hurt_stack
from tests.waiting import wait_until

USERS = 2
# After the last fault: long enough for leases, pauses after failures, and all that waits.
CALM_SECONDS = 180


@dataclass(frozen=True)
class Report:
    """What a run did, and every promise that it saw broken."""

    seed: int
    seconds: float
    faults: Counter[str]
    jobs: int
    rows: int
    refused: int
    violations: list[str]

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.faults.total()} faults of {len(self.faults)} kinds",
            f"in {self.seconds:.0f} s, the calm at the end included",
            f"{self.jobs} jobs accepted, {self.rows:,} rows; {self.refused} requests had to be sent again",
            *(f"  {count:4} {name}" for name, count in sorted(self.faults.items())),
            f"{len(self.violations)} promises broken",
            *(f"  {violation}" for violation in self.violations[:50]),
        ]
        return "\n".join(lines)


def run(trained: Path, seconds: float, seed: int, pause_seconds: float, database_url: str = "") -> Report:
    """Hurt a stack for ``seconds``, let it calm down, and judge it."""
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        hurt_stack(Path(folder), database_url, max_attempts=100) as stack,
    ):
        _add_models(stack.settings, trained)
        return _hurt(stack, trained, seconds, seed, pause_seconds)


def _add_models(settings: Settings, trained: Path) -> None:
    database = Database(settings.database_url)
    registry = Registry(database, settings.data_dir / "models")
    sample = trained / "wine.sample.csv"
    registry.add(NewVersion(name="wine", file=trained / "wine.joblib", sample=sample, targets=("cultivar",)))
    digits = ImageSpec(width=8, height=8, mode="L", high=16)
    registry.add(NewVersion(name="digits", file=trained / "digits.joblib", image=digits))
    database.dispose()


def _hurt(stack: Stack, trained: Path, seconds: float, seed: int, pause_seconds: float) -> Report:
    history, files, began = History(), kinds(trained), time.monotonic()
    users = [User(stack.url, files, history, 1000 * seed + number) for number in range(USERS)]
    follower, nemesis = Follower(stack.url, history), Nemesis(stack, seed, pause_seconds)
    for thread in (*users, follower, nemesis):
        thread.start()
    nemesis.join(seconds)
    nemesis.stop()
    for user in users:
        user.stop()
        user.join(CALM_SECONDS)
    try:
        wait_until(lambda: not history.open_jobs, "every job ends", CALM_SECONDS)
    except AssertionError as stuck:
        history.violations.append(f"{stuck}: {[(job.id, job.status) for job in history.open_jobs]}")
    follower.stop()
    follower.join()
    for job in history.jobs:
        if job.done:
            history.violations += _judge(stack, job)
    history.violations += _judge_database(stack)
    return Report(
        seed=seed,
        seconds=time.monotonic() - began,
        faults=nemesis.struck,
        jobs=len(history.jobs),
        rows=sum(len(job.kind.expected) for job in history.jobs),
        refused=history.refused,
        violations=history.violations,
    )


def _judge(stack: Stack, job: Sent) -> list[str]:
    """The job succeeded, and its result has each row once, in order, with the right value."""
    if job.status != "succeeded":
        error = httpx.get(f"{stack.url}/jobs/{job.id}", timeout=30).json()["error"]
        return [f"job {job.id} ({job.kind.name}) {job.status}: {error}"]
    answer = httpx.get(f"{stack.url}/jobs/{job.id}/result", timeout=60)
    if answer.status_code != 200:
        return [f"result of job {job.id}: {answer.status_code} {answer.text[:300]}"]
    predictions = pq.read_table(pa.BufferReader(answer.content)).column("prediction").to_pylist()
    return [] if right(job.kind, predictions) else [f"result of job {job.id} ({job.kind.name}) is wrong"]


def _judge_database(stack: Stack) -> list[str]:
    """One committed attempt for each chunk, counters that add up, and no job twice for one key."""
    database = Database(stack.settings.database_url)
    committed = func.sum(case((attempts.c.outcome == "done", 1), else_=0))
    by_chunk = select(attempts.c.job_id, attempts.c.index, committed).group_by(
        attempts.c.job_id, attempts.c.index
    )
    with database.reading() as connection:
        wrong = [
            f"chunk {row[:2]} has {row[2]} commits" for row in connection.execute(by_chunk) if row[2] != 1
        ]
        for job in connection.execute(select(jobs)):
            rows = select(func.sum(chunks.c.rows)).where(chunks.c.job_id == job.id)
            if (total := connection.execute(rows).scalar()) != job.rows_done:
                wrong.append(f"job {job.id} counts {job.rows_done} rows, its chunks {total}")
    database.dispose()
    return wrong
