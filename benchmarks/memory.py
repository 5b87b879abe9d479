"""Whether memory grows with the file: each process's anonymous memory during a short and a long job.

Anonymous memory (RssAnon) is what a process takes for itself; pages of mapped files, which the kernel can
drop at any time, do not count. Each length has a fresh stack, so that nothing is left from the other.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import Task, image_task, table_task
from benchmarks.served import Served, serving
from benchmarks.settings import Plan

GOAL_BYTES = 500 * 10**6
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Peaks:
    """The most anonymous bytes that each process of a kind held during one job."""

    task: str
    rows: int
    scoring: list[int]
    api: list[int]


def measure(plan: Plan) -> list[Peaks]:
    """The peaks for each model, format and length."""
    found = []
    print("| job | rows | largest scoring process MB | largest API process MB |\n| --- | --- | --- | --- |")
    for rows, images in zip(plan.memory_rows, plan.memory_images, strict=True):
        with serving(plan.folder, plan.warm_up_rows, plan.warm_up_images) as served:
            # images first: a scoring process keeps what larger chunks of tables made it take
            tasks = [image_task(plan.folder, "icons", images)]
            tasks += [
                table_task(plan.folder, model, kind, rows) for model in plan.models for kind in plan.formats
            ]
            found += [_measured(served, task) for task in tasks]
    largest = max(max(peaks.scoring) for peaks in found)
    print(f"\nGoal: {'meets' if largest < GOAL_BYTES else 'MISSES'} {GOAL_BYTES / 1e6:.0f} MB\n")
    return found


def _measured(served: Served, task: Task) -> Peaks:
    peaks = Peaks(task.name, task.rows, *_peaks(served, task))
    scoring, api = max(peaks.scoring) / 1e6, max(peaks.api) / 1e6
    print(f"| {task.name} | {task.rows:,} | {scoring:.0f} | {api:.0f} |", flush=True)
    return peaks


def _peaks(served: Served, task: Task) -> tuple[list[int], list[int]]:
    scoring = [process.pid for process in served.scoring_processes()]
    api = [process.pid for process in served.api_processes()]
    peaks = dict.fromkeys([*scoring, *api], 0)
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            for pid in peaks:
                peaks[pid] = max(peaks[pid], _anonymous_bytes(pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        job = served.submit(task.input_file, task.model, task.key)
        job.wait()
    finally:
        over.set()
        sampler.join()
    job.delete()
    return [peaks[pid] for pid in scoring], [peaks[pid] for pid in api]


def _anonymous_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not tell anonymous memory (RssAnon); Linux 4.5 or later does")
