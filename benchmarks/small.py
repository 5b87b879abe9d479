"""How long a small job takes on a warm stack: from sending a 1,000-row file to seeing it `succeeded`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

import httpx

from benchmarks.data import input_file
from benchmarks.served import Served, timeline
from benchmarks.settings import Plan

ROWS = 1_000
GOAL_SECONDS = 0.1


def measure(served: Served, plan: Plan) -> dict[str, Any]:
    """Submit small jobs one after another, as a program with an open connection does, and time each."""
    body = input_file(plan.folder, "csv", ROWS).read_bytes()
    seen, inside = [], []
    with httpx.Client(base_url=served.stack.url, timeout=60) as http:
        for _ in range(plan.small_jobs):
            started = time.perf_counter()
            job = http.post("/jobs?model=lr", content=body).raise_for_status().json()
            job = _ended(http, job)
            seen.append(time.perf_counter() - started)
            times = timeline(served.database, job["id"])
            inside.append(times.finished - times.created)
            http.delete(f"/jobs/{job['id']}")
    print(f"**A job of {ROWS:,} rows**, {plan.small_jobs} one after another on a warm stack\n")
    print("| | median ms | 95th percentile | min-max |\n| --- | --- | --- | --- |")
    print(f"| POST sent to `succeeded` seen | {_row(seen)} |")
    print(f"| accepted to finished, in the database | {_row(inside)} |")
    print(f"\nGoal: {'meets' if median(seen) < GOAL_SECONDS else 'MISSES'} {GOAL_SECONDS * 1000:.0f} ms\n")
    return {"rows": ROWS, "seen_seconds": seen, "inside_seconds": inside}


def _ended(http: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    while not job["done"]:
        job = http.get(f"/jobs/{job['id']}?wait=25").raise_for_status().json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"job {job['id']} {job['status']}: {job['error']}")
    return job


def _row(values: Sequence[float]) -> str:
    p95 = quantiles(values, n=20)[-1]
    low, high = min(values) * 1000, max(values) * 1000
    return f"{median(values) * 1000:.0f} | {p95 * 1000:.0f} | {low:.0f}-{high:.0f}"
