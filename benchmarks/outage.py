"""How long users wait while Redis is frozen, and while two hundred of them ask at once when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import median, quantiles
from typing import Any

import httpx
import psutil

from benchmarks.data import FEATURES, input_file
from benchmarks.served import Served
from benchmarks.settings import Plan

ROWS = 1_000
MODEL = "lr"
USERS = 8
POLLERS = 200
JOBS = 10
GOAL_SECONDS = 2.0
PATIENCE_SECONDS = 60

Ask = Callable[[], httpx.Response]


def measure(served: Served, plan: Plan) -> dict[str, Any]:
    """Redis is stopped with SIGSTOP, which is worse than dead: it takes connections, and answers nothing."""
    body = input_file(plan.folder, "csv", ROWS).read_bytes()
    limits = httpx.Limits(max_connections=POLLERS)
    with httpx.Client(base_url=served.stack.url, timeout=PATIENCE_SECONDS, limits=limits) as http:
        asks = _asks(http, body)
        print(f"**Redis frozen**, {plan.outage_requests} requests of each kind by {USERS} users at a time\n")
        print("| | median ms | 99th percentile | worst | failed |\n| --- | --- | --- | --- | --- |")
        usual = _requests(asks, plan.outage_requests, "before")
        with _frozen(served):
            found = _requests(asks, plan.outage_requests, "frozen")
            jobs = [http.post(f"/jobs?model={MODEL}", content=body).json()["id"] for _ in range(JOBS)]
            pool = ThreadPoolExecutor(POLLERS)
            polls = [pool.submit(_poll, http, jobs[number % JOBS]) for number in range(POLLERS)]
        returned = time.perf_counter()
        ended = [poll.result() for poll in polls]
        all_done = time.perf_counter() - returned
        pool.shutdown()
    waits = [seconds for poll in ended for seconds, _ in poll]
    refused = sum(status != 200 for poll in ended for _, status in poll)
    _print(f"{POLLERS} pollers while it comes back", waits, refused)
    worst = max(quantiles(seconds, n=100)[-1] for seconds in found.values())
    waiting = plan.outage_requests + JOBS
    print(
        f"\nThe last of {waiting} jobs that waited was seen to be done {all_done:.1f} s after Redis was back."
    )
    print(f"\nGoal: {_word(worst < GOAL_SECONDS)} {GOAL_SECONDS:g} s for 99 of 100 requests\n", flush=True)
    return {"before": usual, "frozen": found, "polls": waits, "refused": refused, "done_seconds": all_done}


def _asks(http: httpx.Client, body: bytes) -> dict[str, Ask]:
    done = http.post(f"/jobs?model={MODEL}", content=body).raise_for_status().json()
    while not done["done"]:
        done = http.get(f"/jobs/{done['id']}?wait=25").raise_for_status().json()
    features = dict.fromkeys(FEATURES, 0.5)
    return {
        "submit": partial(http.post, f"/jobs?model={MODEL}", content=body),
        "status": partial(http.get, f"/jobs/{done['id']}"),
        "predict": partial(http.post, "/predict", json={"model": MODEL, "features": features}),
    }


def _requests(asks: dict[str, Ask], count: int, when: str) -> dict[str, list[float]]:
    """Seconds that each request of each kind took; the kinds take turns."""
    with ThreadPoolExecutor(USERS) as pool:
        asked = [(name, pool.submit(_timed, ask)) for _ in range(count) for name, ask in asks.items()]
        answers = [(name, *one.result()) for name, one in asked]
    found = {}
    for kind in asks:
        found[kind] = [seconds for name, seconds, _ in answers if name == kind]
        _print(
            f"{kind}, {when}", found[kind], sum(status >= 400 for name, _, status in answers if name == kind)
        )
    return found


def _poll(http: httpx.Client, job_id: str) -> list[tuple[float, int]]:
    """Ask until the job is done, as often as the server says; status 0 is no answer at all."""
    waits = []
    while True:
        started, pause = time.perf_counter(), 1.0
        try:
            answer = http.get(f"/jobs/{job_id}")
        except httpx.TransportError:
            waits.append((time.perf_counter() - started, 0))
        else:
            waits.append((time.perf_counter() - started, answer.status_code))
            if answer.status_code == 200 and answer.json()["done"]:
                return waits
            pause = float(answer.headers["Retry-After"])
        time.sleep(pause)


def _timed(ask: Ask) -> tuple[float, int]:
    started = time.perf_counter()
    status = ask().status_code
    return time.perf_counter() - started, status


@contextmanager
def _frozen(served: Served) -> Iterator[None]:
    process = psutil.Process(served.stack.pids["redis"])
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def _print(what: str, seconds: list[float], refused: int) -> None:
    middle, late, worst = median(seconds), quantiles(seconds, n=100)[-1], max(seconds)
    print(
        f"| {what} | {middle * 1000:.0f} | {late * 1000:.0f} | {worst * 1000:.0f} | {refused} |", flush=True
    )


def _word(met: bool) -> str:
    return "meets" if met else "MISSES"
