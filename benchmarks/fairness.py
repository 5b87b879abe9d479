"""How long a job of 1,000 rows takes while huge jobs run, and whether those share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from base.broker import Broker
from benchmarks.data import input_file
from benchmarks.served import Served
from benchmarks.settings import Plan
from rowmill.client import Job

SMALL_ROWS = 1_000
SMALL_JOBS = 10
GOAL_SECONDS = 5.0
MODEL = "rf"


def measure(served: Served, plan: Plan) -> list[dict[str, Any]]:
    """Small jobs one after another beside one huge job, and beside ten large ones."""
    print(f"**A job of {SMALL_ROWS:,} rows beside large jobs** ({MODEL} csv)\n")
    print("| beside | median s | worst s | chunks of each meanwhile | most messages in Redis |")
    print("| --- | --- | --- | --- | --- |")
    found = [_beside(served, plan, *beside) for beside in ((1, plan.huge_rows), (10, plan.huge_rows // 5))]
    worst = max(max(run["small_seconds"]) for run in found)
    print(f"\nGoal: {'meets' if worst < GOAL_SECONDS else 'MISSES'} {GOAL_SECONDS:g} s\n", flush=True)
    return found


def _beside(served: Served, plan: Plan, count: int, rows: int) -> dict[str, Any]:
    body = input_file(plan.folder, "csv", SMALL_ROWS).read_bytes()
    large = input_file(plan.folder, "csv", rows)
    seconds, queued = [], [0]
    broker = Broker(served.stack.settings.redis_url)
    with httpx.Client(base_url=served.stack.url, timeout=60) as http, running(served, large, count) as jobs:
        before = [_chunks_done(job) for job in jobs]
        for _ in range(SMALL_JOBS):
            started = time.perf_counter()
            small = http.post(f"/jobs?model={MODEL}", content=body).raise_for_status().json()
            while not small["done"]:
                queued.append(broker.queue_length())
                small = http.get(f"/jobs/{small['id']}?wait=0.2").raise_for_status().json()
            seconds.append(time.perf_counter() - started)
        shares = [_chunks_done(job) - then for job, then in zip(jobs, before, strict=True)]
    broker.close()
    what = f"{count} of {rows:,} rows | {median(seconds):.2f} | {max(seconds):.2f}"
    print(f"| {what} | {min(shares)}-{max(shares)} | {max(queued)} |", flush=True)
    return {"jobs": count, "rows": rows, "small_seconds": seconds, "chunks": shares, "queued": max(queued)}


@contextmanager
def running(served: Served, path: Path, count: int) -> Iterator[list[Job]]:
    """So many jobs on one file, all of them being scored; deleted at the end."""
    jobs = [served.submit(path, MODEL) for _ in range(count)]
    try:
        while min(_chunks_done(job) for job in jobs) < 1:
            time.sleep(0.2)
        yield jobs
    finally:
        for job in jobs:
            job.delete()


def _chunks_done(job: Job) -> int:
    return job.status()["chunks"]["done"]
