"""One run of chaos: a stack, its users, who strikes it, and the checker that judges what is left."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import pytest

from base.database import Database
from base.settings import Settings
from models.adding import NewVersion
from models.manifest import ImageSpec
from models.registry import Registry
from rowmill.stack import supervisor
from rowmill.stack.record import load_record
from tests.chaos import checker
from tests.chaos.activity import Activity
from tests.chaos.checker import Effort
from tests.chaos.clocks import Clocks
from tests.chaos.files import SECONDS_PER_ROW, kinds, question
from tests.chaos.nemesis import Nemesis
from tests.chaos.postgres_server import PostgresServer
from tests.chaos.redis_server import RedisServer
from tests.chaos.small_disk import SmallDisk
from tests.chaos.users import Caller, Follower, History, User, Visitor
from tests.chaos.victim import Surroundings
from tests.hurt_stack import hurt_stack
from tests.waiting import wait_until

USERS = 2
NEMESES = 2
MAX_ATTEMPTS = 100
# As short as leases are: programs that die every few seconds would be left alone for half a minute.
LONGEST_PAUSE_SECONDS = 1.0
PACED = Path(__file__).parent / "paced.py"
# After the last fault: long enough for leases, pauses after failures, deaf connections, and all that waits.
CALM_SECONDS = 240
MOST_SHOWN = 50
TOLD_EVERY_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """What a run is to do. ``pause_seconds`` is that of each nemesis between two faults, on average."""

    seconds: float
    seed: int
    pause_seconds: float
    postgres: bool = False
    only: tuple[str, ...] = ()


@dataclass
class Report:
    """What a run did, and every promise that it saw broken."""

    plan: Plan
    faults: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    history: History = field(default_factory=History)
    hurt: int = 0
    effort: Effort = field(default_factory=lambda: Effort(0, 0, 0, 0))
    busy_share: float = 0.0
    calm_seconds: float = 0.0
    kept: Path | None = None
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = Counter(job.status for job in self.history.jobs)
        rows = sum(len(job.kind.expected) for job in self.history.jobs)
        database = "Postgres" if self.plan.postgres else "SQLite"
        lines = [
            f"seed {self.plan.seed}, {database}, {self.plan.seconds:.0f} s: "
            f"{self.faults.total()} faults of {len(self.faults)} kinds",
            *(f"  {count:5} {name}" for name, count in sorted(self.faults.items())),
            f"{self.missed} more found nothing to strike",
            f"{len(self.history.jobs)} jobs of {rows:,} rows were accepted: "
            + ", ".join(f"{count} {status}" for status, count in sorted(ends.items())),
            f"{self.hurt} jobs had bytes changed; {self.history.refused} requests had to be sent again",
            f"{self.history.predictions} predictions answered, {self.history.predictions_later} put off",
            f"{self.effort.rows:,} rows in {self.effort.chunks:,} chunks, {self.effort.retried} tried again; "
            f"{self.effort.lost} tries led to nothing",
            f"chunks were running for {self.busy_share:.0%} of the time",
            f"the last job ended {self.calm_seconds:.1f} s after the last fault",
            f"{len(self.violations)} promises broken",
            *(f"  {violation}" for violation in self.violations[:MOST_SHOWN]),
        ]
        if self.kept:
            lines.append(f"logs and database are kept in {self.kept}")
        return "\n".join(lines)


def run(trained: Path, plan: Plan) -> Report:
    """Hurt a stack for as long as the plan says, let it calm down, and judge it."""
    report = Report(plan)
    with _surroundings(trained, plan) as around:
        nemeses = _hurt(around, trained, report)
        report.violations += _judge(around, report)
        settings = around.stack.settings
        record = load_record(settings.data_dir / "run" / "stack.json")
        around.stack.stop()
        report.violations += checker.judge_processes(record.stack_id if record else "")
        report.violations += checker.judge_files(settings)
        if report.violations:
            report.kept = _keep(around, report, nemeses)
    return report


@contextmanager
def _surroundings(trained: Path, plan: Plan) -> Iterator[Surroundings]:
    """A stack with all that it stands on, which is gone at the end."""
    with ExitStack() as stays:
        base = Path(stays.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        (data := base / "data").mkdir()
        disk = SmallDisk(data)
        stays.callback(disk.close)
        redis = RedisServer(base / "redis")
        stays.callback(redis.close)
        postgres = PostgresServer(base / "postgres") if plan.postgres else None
        if postgres:
            stays.callback(postgres.close)
        clocks = Clocks(base / "clocks")
        patch = stays.enter_context(pytest.MonkeyPatch.context())
        for name, value in clocks.environment.items():
            patch.setenv(name, value)
        patch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", LONGEST_PAUSE_SECONDS)
        stack = hurt_stack(data, postgres.url if postgres else "", MAX_ATTEMPTS, redis.url)
        stays.enter_context(stack)
        database = Database(stack.settings.database_url)
        stays.callback(database.dispose)
        _add_models(database, stack.settings, trained)
        yield Surroundings(stack, redis, postgres, disk, clocks, database)


def _add_models(database: Database, settings: Settings, trained: Path) -> None:
    registry = Registry(database, settings.data_dir / "models")
    sample = trained / "wine.sample.csv"
    registry.add(NewVersion(name="wine", file=trained / "wine.joblib", sample=sample, targets=("cultivar",)))
    paced = _dump_paced(joblib.load(trained / "wine.joblib"), trained)
    registry.add(NewVersion(name="paced", file=paced, sample=sample, targets=("cultivar",), code=PACED))
    digits = ImageSpec(width=8, height=8, mode="L", high=16)
    registry.add(NewVersion(name="digits", file=trained / "digits.joblib", image=digits))


def _dump_paced(model: Any, folder: Path) -> Path:
    """The model as its user would store it: its class lies in a module of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PACED.parent)
        module = importlib.import_module(PACED.stem)
        joblib.dump(module.Paced(model, SECONDS_PER_ROW), folder / "paced.joblib")
        del sys.modules[PACED.stem]
    return folder / "paced.joblib"


def _hurt(around: Surroundings, trained: Path, report: Report) -> list[Nemesis]:
    """Let users and nemeses at the stack, and wait until every job has ended."""
    url, plan, history = around.stack.url, report.plan, report.history
    files = kinds(trained)
    users = [User(url, history, files, 1000 * plan.seed + number) for number in range(USERS)]
    watchers: list[Visitor] = [Follower(url, history), Caller(url, history, question(trained))]
    pause = plan.pause_seconds * NEMESES
    nemeses = [Nemesis(around, 1000 * plan.seed + number, pause, plan.only) for number in range(NEMESES)]
    activity = Activity(around.database, around.over)
    for thread in (*users, *watchers, *nemeses, activity):
        thread.start()
    _wait(around, report, nemeses)
    around.over.set()
    for nemesis in nemeses:
        nemesis.join()
        report.faults += nemesis.struck
        report.missed += nemesis.missed.total()
        report.violations += nemesis.broken
    last_fault = time.monotonic()
    activity.join()
    report.busy_share = activity.share
    for user in users:
        user.stop()
        user.join(CALM_SECONDS)
    try:
        wait_until(lambda: not history.open_jobs, "every job ends", CALM_SECONDS)
    except AssertionError as stuck:
        report.violations += [f"{stuck}: job {job.id} is {job.status}" for job in history.open_jobs]
    for watcher in watchers:
        watcher.stop()
        watcher.join()
    report.calm_seconds = max([0.0, *(job.ended_at - last_fault for job in history.jobs)])
    report.hurt = len(around.hurt)
    return nemeses


def _wait(around: Surroundings, report: Report, nemeses: list[Nemesis]) -> None:
    """Until the time is up; says each minute how it stands, for half an hour is long."""
    end = time.monotonic() + report.plan.seconds
    while (left := end - time.monotonic()) > 0:
        around.over.wait(min(left, TOLD_EVERY_SECONDS))
        history = report.history
        broken = [*history.violations, *(line for nemesis in nemeses for line in nemesis.broken)]
        faults = sum(nemesis.struck.total() for nemesis in nemeses)
        print(f"{faults} faults, {len(history.jobs)} jobs, promises broken: {broken}", flush=True)


def _judge(around: Surroundings, report: Report) -> list[str]:
    """Everything that can be asked while the stack runs, in calm."""
    wrong = list(report.history.violations)
    for job in report.history.jobs:
        if job.done:
            wrong += checker.judge_job(around.stack.url, job, around.hurt)
    wrong += checker.judge_queue(around.redis)
    wrong += checker.judge_database(around.database, MAX_ATTEMPTS)
    report.effort = checker.effort(around.database)
    return wrong


def _keep(around: Surroundings, report: Report, nemeses: list[Nemesis]) -> Path:
    """Save what tells how it came about: logs, faults by time, the SQLite database, the jobs in question."""
    kept = Path(tempfile.mkdtemp(prefix=f"rowmill-chaos-{report.plan.seed}-"))
    data = around.stack.settings.data_dir
    shutil.copytree(data / "logs", kept / "logs")
    for path in data.glob("rowmill.db*"):
        shutil.copy(path, kept)
    faults = sorted(line for nemesis in nemeses for line in nemesis.log)
    (kept / "faults.txt").write_text("\n".join(faults) + "\n")
    named = [job.id for job in report.history.jobs if any(job.id in wrong for wrong in report.violations)]
    lines = [line for job_id in named for line in (job_id, *checker.story(around.database, job_id))]
    (kept / "jobs.txt").write_text("\n".join(lines) + "\n")
    (kept / "report.txt").write_text("\n".join(report.violations) + "\n")
    return kept
