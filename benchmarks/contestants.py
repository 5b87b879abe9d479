"""Who is measured: the baselines and Rowmill; each scores one file and says what that took.

The baselines run as whole processes, Rowmill as one job on a stack that is warm, as a user's is: from before
the upload to the result on disk.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data import input_file
from benchmarks.fitting import model_file
from benchmarks.image_data import archive, image_model_file
from benchmarks.served import Served, timeline


@dataclass(frozen=True)
class Task:
    """One model on one file; results go into ``folder``, which is emptied before each run."""

    model: str
    kind: str
    rows: int
    model_file: Path
    input_file: Path
    folder: Path
    key: str = "id"

    @property
    def keys(self) -> list[str]:
        """What the column ``key`` of a result holds: numbers of rows, or names of pictures."""
        if self.kind == "zip":
            with zipfile.ZipFile(self.input_file) as archive:
                return archive.namelist()
        return [str(row) for row in range(self.rows)]

    @property
    def name(self) -> str:
        """As it stands in the tables."""
        return f"{self.model} {self.kind}"

    def output(self, contestant: str) -> Path:
        """The folder that holds what a contestant wrote, as one or several Parquet files."""
        return self.folder / contestant


def table_task(folder: Path, model: str, kind: str, rows: int) -> Task:
    """A table; its file and model are made if they are not there yet."""
    files = (model_file(folder, model), input_file(folder, kind, rows))
    return Task(model, kind, rows, *files, folder / "results")


def image_task(folder: Path, name: str, count: int) -> Task:
    """A zip of images; likewise."""
    files = (image_model_file(folder, name), archive(folder, name, count))
    return Task(name, "zip", count, *files, folder / "results", key="file")


@dataclass(frozen=True)
class Run:
    """One run. ``phase`` is scoring alone: beyond the start-up for the limit, first claim to last commit."""

    seconds: float
    cpu_seconds: float
    phase_seconds: float | None = None
    phase_cpu_seconds: float | None = None
    steps: dict[str, float] = field(default_factory=dict)


def pandas_loop(task: Task) -> Run:
    """The tutorial's loop, whole process."""
    out = _emptied(task.output("pandas")) / "result.parquet"
    seconds, cpu, _ = _process("benchmarks.pandas_loop", task.model_file, task.input_file, out)
    return Run(seconds, cpu)


def limit(task: Task) -> Run:
    """Two processes tuned by hand."""
    return _in_halves(task, "limit", "benchmarks.limit")


def image_loop(task: Task) -> Run:
    """Two processes that decode and predict."""
    return _in_halves(task, "loop", "benchmarks.image_loop")


def _in_halves(task: Task, name: str, module: str) -> Run:
    """Two processes; the phase is that of the slower one, its CPU time that of both."""
    out = _emptied(task.output(name))
    seconds, cpu, printed = _process(module, task.model_file, task.input_file, out)
    parts = json.loads(printed)
    phase = max(part["seconds"] for part in parts)
    return Run(seconds, cpu, phase, sum(part["cpu_seconds"] for part in parts))


def rowmill(served: Served) -> Callable[[Task], Run]:
    """A job on the stack that is given."""

    def run(task: Task) -> Run:
        out = _emptied(task.output("rowmill")) / "result.parquet"
        cpu, own = served.cpu_seconds(), _children_cpu_seconds()
        started = time.time()
        job = served.submit(task.input_file, task.model, keep=task.key)
        uploaded = time.time()
        job.wait()
        waited = time.time()
        served.download(job, out)
        ended = time.time()
        used = served.cpu_seconds() - cpu + _children_cpu_seconds() - own
        times = timeline(served.database, job.id)
        job.delete()
        steps = {
            "upload": uploaded - started,
            "plan": times.first_claim - uploaded,
            "score": times.scoring_seconds,
            "finish": times.finished - times.last_commit,
            "notice": waited - times.finished,
            "download": ended - waited,
        }
        return Run(ended - started, used, times.scoring_seconds, None, steps)

    return run


def _process(module: str, *arguments: Path) -> tuple[float, float, str]:
    """Wall time, CPU time of the process and its children, and what it printed."""
    cpu, started = _children_cpu_seconds(), time.perf_counter()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    return time.perf_counter() - started, _children_cpu_seconds() - cpu, done.stdout


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
