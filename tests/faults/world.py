"""A whole Rowmill in one test process: each action runs in a child of its own, which may be struck down.

Files, database, Redis, planning, scoring, joining and the caretaker are the real ones. The parent stands in
for gunicorn and Celery: it hands each message to one child and then forgets it, as the worst broker would.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pyarrow.parquet as pq
import redis
from sqlalchemy import select

from api import create_app
from base.broker import QUEUE, plain_redis_url
from base.database import Database
from base.database.tables import attempts, chunks, inputs, jobs
from base.processes import this_process
from base.settings import Settings
from jobs.caretaker import Caretaker
from jobs.finishing import finish_job
from jobs.lifecycle.window import FINISH, PLAN, SCORE
from jobs.orphans import remove_orphans
from jobs.planning import plan_job
from jobs.records import Job
from jobs.running import run_chunk
from jobs.states import FINAL, ChunkStatus, JobStatus
from jobs.workshop import Workshop
from models.cache import ModelCache
from models.registry import Registry
from tests.faults.crash_points import Trigger
from tests.faults.sent import Sent

# More rounds than two jobs with one fault can need.
MOST_ROUNDS = 60
ORPHAN_AGE_SECONDS = 2 * 24 * 3600
FOLDERS = ("inputs", "jobs", "staging")


class SharedClock:
    """Time that parent and children share, and that passes only when somebody says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = mmap.mmap(-1, 8)
        self._now[:8] = struct.pack("d", now)

    def __call__(self) -> float:
        return float(struct.unpack("d", self._now[:8])[0])

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` go by."""
        self._now[:8] = struct.pack("d", self() + seconds)


class World:
    """Two jobs on one file, and everybody who works on them."""

    def __init__(self, settings: Settings, sent: Sent, trigger: Trigger) -> None:
        self.settings, self._sent, self._trigger = settings, sent, trigger
        self.clock = SharedClock()
        self._redis = redis.Redis.from_url(plain_redis_url(settings.redis_url))
        self._paused: list[int] = []

    def run(self) -> None:
        """Send two jobs, do all work there is until both have ended, and wake up who was paused."""
        for key in ("one", "two"):
            while not self._in_child(lambda key=key: self._submit(key)):  # type: ignore[misc]
                self._let_time_pass()
        for _ in range(MOST_ROUNDS):
            self._let_time_pass()
            while message := self._redis.rpop(QUEUE):
                self._in_child(lambda message=message: self._work(message))  # type: ignore[misc]
            if all(job.status in FINAL for job in self._jobs()):
                break
        for pid in self._paused:
            os.kill(pid, signal.SIGCONT)
            os.waitpid(pid, 0)
        self._let_time_pass()

    def check(self) -> None:
        """Every job ended whole: each row once and in order, each chunk committed once, nothing left over."""
        found = self._jobs()
        assert [job.status for job in found] == [JobStatus.SUCCEEDED] * 2, [job.error for job in found]
        database = Database(self.settings.database_url)
        with database.reading() as connection:
            rows = connection.execute(select(chunks)).all()
            assert {row.status for row in rows} == {ChunkStatus.DONE}
            assert max(row.attempt for row in rows) <= self.settings.max_attempts
            ends = connection.execute(select(attempts.c.job_id, attempts.c.index, attempts.c.outcome)).all()
            done = Counter((end.job_id, end.index) for end in ends if end.outcome == "done")
            assert done == dict.fromkeys([(row.job_id, row.index) for row in rows], 1)
        database.dispose()
        expected = self._sent.expected
        for job in found:
            assert job.rows_done == job.rows_total == len(expected)
            table = pq.read_table(self.settings.data_dir / (job.result or {})["file"])
            assert table.column("prediction").to_pylist() == expected
        self._check_files()

    def _check_files(self) -> None:
        """What no row names goes with the sweep of the caretaker once it is old."""
        root = self.settings.data_dir
        old = time.time() - ORPHAN_AGE_SECONDS
        for path in [path for folder in FOLDERS for path in root.glob(f"{folder}/**/*")]:
            os.utime(path, (old, old))
        shop = self._open()
        remove_orphans(shop)
        with shop.database.reading() as connection:
            kinds = (inputs.c.file, inputs.c.decoded_file, inputs.c.index_file)
            named = {name for kind in kinds for name in connection.execute(select(kind)).scalars() if name}
            named |= {result["file"] for result in connection.execute(select(jobs.c.result)).scalars()}
        shop.close()
        kept = [path for folder in FOLDERS for path in root.glob(f"{folder}/**/*")]
        assert {str(path.relative_to(root)) for path in kept if path.is_file()} == named

    def _let_time_pass(self) -> None:
        """Longer than a lease, if somebody is paused; then two ticks of a caretaker."""
        self.clock.advance(2 * self.settings.lease_seconds if self._paused else 5)
        self._in_child(self._tick)

    def _submit(self, key: str) -> bool:
        os.environ.update(
            ROWMILL_DATA_DIR=str(self.settings.data_dir), ROWMILL_REDIS_URL=self.settings.redis_url
        )
        app = create_app()
        app.extensions["workshop"] = self._open()
        answer = app.test_client().post(
            f"/jobs?{self._sent.query}", data=self._sent.body, headers={"Idempotency-Key": key}
        )
        return answer.status_code == 202

    def _work(self, raw: bytes) -> bool:
        message = json.loads(raw)
        _, values, _ = json.loads(base64.b64decode(message["body"]))
        shop, job_id = self._open(), values["job_id"]
        match message["headers"]["task"]:
            case task if task == PLAN:
                plan_job(shop, job_id)
            case task if task == SCORE:
                run_chunk(shop, job_id, values["chunk"])
            case task if task == FINISH:
                finish_job(shop, job_id)
        return True

    def _tick(self) -> bool:
        caretaker = Caretaker(self._open())
        caretaker.tick()
        self.clock.advance(5)
        caretaker.tick()
        return True

    def _in_child(self, act: Callable[[], bool]) -> bool:
        """Run ``act`` in a child that the trigger may strike; whether it came to a good end."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._trigger.install()
                code = 0 if act() else 1
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            self._paused.append(pid)
        return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0

    def _open(self) -> Workshop:
        shop = Workshop.open(self.settings, worker=this_process())
        database = Database(self.settings.database_url, self.clock)
        registry = Registry(database, self.settings.data_dir / "models")
        return replace(shop, database=database, registry=registry, models=ModelCache(registry, 1 << 30))

    def _jobs(self) -> list[Job]:
        database = Database(self.settings.database_url)
        with database.reading() as connection:
            found = Job.from_rows(connection.execute(select(jobs).order_by(jobs.c.id)).all())
        database.dispose()
        return found
