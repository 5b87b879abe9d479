"""A warm stack to measure: the same processes that `rowmill up` starts, with the models added.

Files go in and out with curl where there is one, as users send them, else with Rowmill's own client.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from sqlalchemy import func, select

from base.database import Database
from base.database.tables import attempts, jobs
from base.settings import Settings
from benchmarks.data import input_file
from benchmarks.fitting import MODELS, model_file, sample_file
from benchmarks.image_data import SETS, archive, image_model_file
from models.adding import NewVersion
from models.registry import Registry
from rowmill.client import Client, Job
from rowmill.stack import Stack

WARM_UP_JOBS = 6  # enough that both scoring processes have loaded a model


@dataclass(frozen=True)
class Timeline:
    """Moments of a job in seconds since the epoch, from the database."""

    created: float
    first_claim: float
    last_commit: float
    finished: float

    @property
    def scoring_seconds(self) -> float:
        """From the first chunk claimed to the last one committed."""
        return self.last_commit - self.first_claim


class Served:
    """A running stack, and jobs on it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.client = Client(stack.url)
        self.database = Database(stack.settings.database_url)
        self._curl = shutil.which("curl")

    def submit(self, path: Path, model: str, keep: str = "id") -> Job:
        """Send a file as one streaming upload."""
        if self._curl is None:
            return self.client.submit(path, model, keep=[keep])
        url = f"{self.stack.url}/jobs?model={model}&keep={keep}"
        return self.client.job(
            json.loads(_output(self._curl, "-sS", "--fail-with-body", "-T", path, url))["id"]
        )

    def download(self, job: Job, out: Path) -> None:
        """Fetch the Parquet result."""
        if self._curl is None:
            job.download(out)
        else:
            _output(self._curl, "-sS", "--fail", "-o", out, f"{self.stack.url}/jobs/{job.id}/result")

    def processes(self) -> list[psutil.Process]:
        """Every process of the stack."""
        parents = [psutil.Process(pid) for pid in self.stack.pids.values()]
        return parents + [child for parent in parents for child in parent.children(recursive=True)]

    def scoring_processes(self) -> list[psutil.Process]:
        """The pool processes, which hold models and score."""
        return psutil.Process(self.stack.pids["worker"]).children()

    def api_processes(self) -> list[psutil.Process]:
        """The processes that answer HTTP."""
        return psutil.Process(self.stack.pids["api"]).children()

    def cpu_seconds(self) -> float:
        """User and system time of the whole stack so far."""
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(time.user + time.system for time in times))


@contextmanager
def serving(folder: Path, warm_up_rows: int, warm_up_images: int = 0) -> Iterator[Served]:
    """A stack of two scoring processes whose data lie in a folder of its own below ``folder``.

    Its models are warm; those on images are there only if they are to be warmed up too.
    """
    tasks = [(name, "id", input_file(folder, "csv", warm_up_rows)) for name in MODELS]
    if warm_up_images:
        tasks += [(name, "file", archive(folder, name, warm_up_images)) for name in SETS]
    with TemporaryDirectory(prefix="stack-", dir=folder) as data:
        settings = Settings(data_dir=Path(data), port=0, flower_port=0, workers=2)
        with Stack(settings) as stack:
            served = Served(stack)
            for model, key, source in tasks:
                _add_model(served, folder, model)
                for job in [served.submit(source, model, key) for _ in range(WARM_UP_JOBS)]:
                    job.wait()
                    job.delete()
            try:
                yield served
            finally:
                served.client.close()
                served.database.dispose()


def timeline(database: Database, job_id: str) -> Timeline:
    """When what happened to a job that has succeeded."""
    job = select(jobs.c.created_at, jobs.c.finished_at).where(jobs.c.id == job_id)
    tries = select(func.min(attempts.c.started_at), func.max(attempts.c.ended_at)).where(
        attempts.c.job_id == job_id
    )
    with database.reading() as connection:
        created, finished = connection.execute(job).one()
        first, last = connection.execute(tries).one()
    return Timeline(created, first, last, finished)


def idle_cpu_share(served: Served, seconds: float) -> float:
    """CPU seconds per second that the stack takes while nothing is asked of it."""
    before = served.cpu_seconds()
    time.sleep(seconds)
    return (served.cpu_seconds() - before) / seconds


def _add_model(served: Served, folder: Path, name: str) -> None:
    if name in SETS:
        new = NewVersion(name=name, file=image_model_file(folder, name), image=SETS[name].spec)
    else:
        new = NewVersion(name=name, file=model_file(folder, name), sample=sample_file(folder))
    Registry(served.database, served.stack.settings.data_dir / "models").add(new)


def _output(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr} {done.stdout}")
    return done.stdout
