"""What a large job does to single predictions: p99 alone, and while every scoring process is busy."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.data import FEATURES, input_file
from benchmarks.fairness import running
from benchmarks.front_door.load import Window, load, write_script
from benchmarks.served import Served
from benchmarks.settings import Plan

# Connections, and whether a client pauses between an answer and its next question; one that does not takes as
# much of a core as it gets.
LOADS = ((1, False), (8, False), (8, True))
WINDOW_SECONDS = 5
MODELS = ("lr", "rf")
GOAL_RATIO = 3.0


def measure(served: Served, plan: Plan) -> list[dict[str, Any]]:
    """For each model and number of connections, windows on an idle stack and beside a job."""
    print("\n**Single predictions beside a large job**\n")
    print("| model | clients | alone p50 ms | p99 ms | beside p50 ms | p99 ms | p99 beside / alone |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    return [_beside(served, plan, model, *load_of) for model in MODELS for load_of in LOADS]


def _beside(served: Served, plan: Plan, model: str, connections: int, pauses: bool) -> dict[str, Any]:
    rows = np.round(np.random.default_rng(5).normal(size=(500, len(FEATURES))), 6)
    bodies = [json.dumps({"features": dict(zip(FEATURES, row, strict=True))}) for row in rows.tolist()]
    script = write_script(bodies, plan.folder / "beside.lua", pauses=pauses)
    url = f"{served.stack.url}/predict?model={model}"

    def windows() -> list[Window]:
        return [load(url, script, connections, WINDOW_SECONDS) for _ in range(plan.rounds)]

    _wait_until_removed(served)
    windows()  # warm
    alone = windows()
    with running(served, input_file(plan.folder, "csv", plan.huge_rows), 1) as (job,):
        beside = windows()
        if job.status()["done"]:
            raise RuntimeError("the job ended before the windows did; give it more rows")
    ratio = _p99(beside) / _p99(alone)
    verdict = "" if ratio <= GOAL_RATIO else f" (goal {GOAL_RATIO:g})"
    clients = f"{connections}, pausing" if pauses else f"{connections}"
    print(f"| {model} | {clients} | {_cells(alone)} | {_cells(beside)} | {ratio:.1f}{verdict} |", flush=True)
    found = {"alone": [vars(window) for window in alone], "beside": [vars(window) for window in beside]}
    return {"model": model, "clients": clients, **found}


def _wait_until_removed(served: Served) -> None:
    """Removing the gigabytes of the job before is work of its own."""
    data = served.stack.settings.data_dir
    while any(file.is_file() for name in ("inputs", "staging") for file in (data / name).rglob("*")):
        time.sleep(0.2)


def _p99(windows: Sequence[Window]) -> float:
    return median(window.p99_ms for window in windows)


def _cells(windows: Sequence[Window]) -> str:
    slowest = [window.p99_ms for window in windows]
    p50 = median(window.median_ms for window in windows)
    return f"{p50:.2f} | {median(slowest):.1f} ({min(slowest):.1f}-{max(slowest):.1f})"
