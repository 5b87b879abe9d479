"""Who uses a stack while everything breaks, and what they saw: the history that the checker judges."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.files import Kind, Question

# Answers that say "later", of which the next try may be luckier.
LATER = {409, 503}
REQUEST_SECONDS = 20
PAUSE_SECONDS = 0.2
MOST_OPEN_JOBS = 6
CANCEL_SHARE = 0.04
# What a job says of itself that stays once it has ended.
LASTING = ("status", "done", "rows", "error", "finished_at")


@dataclass
class Sent:
    """A job that was accepted, and what its followers saw of it."""

    id: str
    kind: Kind
    cancelled: bool = False
    rows_done: int = 0
    status: str = "queued"
    done: bool = False
    ended: dict[str, Any] = field(default_factory=dict)
    """What it said of itself when it was first seen to have ended."""
    ended_at: float = 0.0


@dataclass
class History:
    """What happened, as far as users can tell. ``violations`` are broken promises."""

    jobs: list[Sent] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    refused: int = 0
    predictions: int = 0
    predictions_later: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def open_jobs(self) -> list[Sent]:
        """Jobs that have not been seen to end."""
        with self.lock:
            return [job for job in self.jobs if not job.done]


def ask(send: Callable[[], httpx.Response]) -> httpx.Response | None:
    """The answer; None if whoever was to give it died, froze, or said "later"."""
    try:
        answer = send()
    except httpx.TransportError:
        return None
    return None if answer.status_code in LATER else answer


class Visitor(threading.Thread):
    """Does the same thing again and again until told to stop."""

    def __init__(self, name: str, url: str, history: History) -> None:
        super().__init__(name=name, daemon=True)
        self.url, self.history = url, history
        self.over = threading.Event()

    def stop(self) -> None:
        """Begin nothing new; what was begun is brought to its end."""
        self.over.set()

    def run(self) -> None:
        """Visit, with a pause between two visits."""
        while not self.over.wait(PAUSE_SECONDS):
            self.visit()

    def visit(self) -> None:
        """What a visitor comes for."""
        raise NotImplementedError


class User(Visitor):
    """Sends jobs. One counts once it was accepted; until then it is sent again. Few are cancelled."""

    def __init__(self, url: str, history: History, kinds: list[Kind], seed: int) -> None:
        super().__init__(f"user-{seed}", url, history)
        self._kinds = kinds
        self._chance = random.Random(seed)
        self._keys = (f"chaos-{seed}-{number}" for number in itertools.count())

    def visit(self) -> None:
        if len(self.history.open_jobs) >= MOST_OPEN_JOBS:
            return
        sent = self._send(self._chance.choice(self._kinds), next(self._keys))
        if self._chance.random() < CANCEL_SHARE:
            self._cancel(sent)

    def _send(self, kind: Kind, key: str) -> Sent:
        while True:
            answer = ask(
                lambda: httpx.post(
                    f"{self.url}/jobs",
                    params=kind.options,
                    content=kind.body,
                    headers={"Idempotency-Key": key},
                    timeout=REQUEST_SECONDS,
                )
            )
            if answer is not None and answer.status_code == 202:
                sent = Sent(answer.json()["id"], kind)
                with self.history.lock:
                    self.history.jobs.append(sent)
                return sent
            if answer is not None:
                said = f"{answer.status_code} {answer.text[:300]}"
                self.history.violations.append(f"POST of {kind.name}: {said}")
            self.history.refused += 1
            self.over.wait(PAUSE_SECONDS)

    def _cancel(self, sent: Sent) -> None:
        sent.cancelled = True  # noted first: the answer may be lost
        while ask(lambda: httpx.post(f"{self.url}/jobs/{sent.id}/cancel", timeout=REQUEST_SECONDS)) is None:
            self.over.wait(PAUSE_SECONDS)


class Follower(Visitor):
    """Looks at every open job in turn, and checks that nothing that was done is undone."""

    def __init__(self, url: str, history: History) -> None:
        super().__init__("follower", url, history)

    def visit(self) -> None:
        for job in self.history.open_jobs:
            answer = ask(lambda job=job: httpx.get(f"{self.url}/jobs/{job.id}", timeout=REQUEST_SECONDS))  # type: ignore[misc]
            if answer is not None and answer.status_code == 200:
                self._note(job, answer.json())
            elif answer is not None:
                said = f"{answer.status_code} {answer.text[:300]}"
                self.history.violations.append(f"GET of job {job.id}: {said}")

    def _note(self, job: Sent, seen: dict[str, Any]) -> None:
        if seen["rows"]["done"] < job.rows_done:
            went = f"from {job.rows_done} to {seen['rows']['done']} rows"
            self.history.violations.append(f"job {job.id} went back {went}")
        job.rows_done, job.status = seen["rows"]["done"], seen["status"]
        if seen["done"]:
            job.ended, job.ended_at = lasting(seen), time.monotonic()
        job.done = seen["done"]


def lasting(seen: dict[str, Any]) -> dict[str, Any]:
    """What of a job's resource never changes again once the job has ended."""
    return {name: seen[name] for name in LASTING}


class Caller(Visitor):
    """Asks for single predictions, which are right, or come later, whatever happens to jobs."""

    def __init__(self, url: str, history: History, question: Question) -> None:
        super().__init__("caller", url, history)
        self._question = question

    def visit(self) -> None:
        question = self._question
        answer = ask(lambda: httpx.post(f"{self.url}/predict", json=question.body, timeout=REQUEST_SECONDS))
        if answer is None:
            self.history.predictions_later += 1
            return
        self.history.predictions += 1
        if answer.status_code != 200:
            self.history.violations.append(f"POST /predict: {answer.status_code} {answer.text[:300]}")
        elif [row["prediction"] for row in answer.json()["predictions"]] != question.expected:
            self.history.violations.append(f"POST /predict answered wrongly: {answer.text[:300]}")
