"""What users do while everything breaks: send files of every kind, again and again until each is accepted.

Each file is fixed by its kind, and so is the answer that scikit-learn gives to it in this process.
"""

from __future__ import annotations

import io
import itertools
import random
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

# Answers that say "later", of which the next try may be luckier.
LATER = {409, 503}
REQUEST_SECONDS = 20
PAUSE_SECONDS = 0.2
MOST_OPEN_JOBS = 6
BAD_EVERY = 997


@dataclass(frozen=True)
class Kind:
    """A file, how it is sent, and the right answers; None stands for a row error."""

    name: str
    body: bytes
    options: dict[str, str]
    expected: list[Any]


@dataclass
class Sent:
    """A job that was accepted, and what its followers saw of it."""

    id: str
    kind: Kind
    rows_done: int = 0
    status: str = "queued"
    done: bool = False


@dataclass
class History:
    """What happened, as far as users can tell. ``violations`` are broken promises."""

    jobs: list[Sent] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def open_jobs(self) -> list[Sent]:
        """Jobs that have not been seen to end."""
        with self.lock:
            return [job for job in self.jobs if not job.done]


def kinds(trained: Path) -> list[Kind]:
    """Files for the example models that lie in ``trained``."""
    wine, digits = joblib.load(trained / "wine.joblib"), joblib.load(trained / "digits.joblib")
    rows = pd.read_csv(trained / "wine.sample.csv").drop(columns="cultivar")
    few, many = (rows.sample(n, replace=True, random_state=n, ignore_index=True) for n in (500, 12_000))
    answers = list(wine.predict(many))
    with_bad = many.astype(object)
    for row in range(0, len(many), BAD_EVERY):
        with_bad.iloc[row, 3] = "not a number"
    parquet = io.BytesIO()
    many.to_parquet(parquet)
    model = {"model": "wine", "chunk_rows": "1000"}
    return [
        Kind("small CSV", few.to_csv(index=False).encode(), {"model": "wine"}, list(wine.predict(few))),
        Kind(
            "CSV with bad rows",
            with_bad.to_csv(index=False).encode(),
            model,
            [None if row % BAD_EVERY == 0 else answer for row, answer in enumerate(answers)],
        ),
        Kind("Parquet", parquet.getvalue(), model, answers),
        Kind(
            "zip with a bad image",
            _with_a_bad_image(trained / "digits.zip"),
            {"model": "digits", "chunk_rows": "200"},
            [*digits.predict(load_digits().data), None],
        ),
    ]


def _with_a_bad_image(path: Path) -> bytes:
    copy = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("broken.png", b"\x89PNG and no more")
    return copy.getvalue()


class User(threading.Thread):
    """Sends jobs until told to stop. A job counts once it was accepted; until then it is sent again."""

    def __init__(self, url: str, kinds: list[Kind], history: History, seed: int) -> None:
        super().__init__(name=f"user-{seed}", daemon=True)
        self._url, self._kinds, self._history = url, kinds, history
        self._chance = random.Random(seed)
        self._keys = (f"chaos-{seed}-{number}" for number in itertools.count())
        self._over = threading.Event()

    def stop(self) -> None:
        """Send nothing new; what was begun is brought to its end."""
        self._over.set()

    def run(self) -> None:
        """Send one job after the other, a few at a time."""
        while not self._over.is_set():
            if len(self._history.open_jobs) < MOST_OPEN_JOBS:
                self._send(self._chance.choice(self._kinds), next(self._keys))
            self._over.wait(PAUSE_SECONDS)

    def _send(self, kind: Kind, key: str) -> None:
        while True:
            try:
                answer = httpx.post(
                    f"{self._url}/jobs",
                    params=kind.options,
                    content=kind.body,
                    headers={"Idempotency-Key": key},
                    timeout=REQUEST_SECONDS,
                )
            except httpx.TransportError:
                answer = None  # the process that took it was killed
            if answer is not None and answer.status_code == 202:
                with self._history.lock:
                    self._history.jobs.append(Sent(answer.json()["id"], kind))
                return
            if answer is not None and answer.status_code not in LATER:
                self._history.violations.append(
                    f"POST of {kind.name}: {answer.status_code} {answer.text[:300]}"
                )
            self._history.refused += 1
            self._over.wait(PAUSE_SECONDS)


class Follower(threading.Thread):
    """Looks at every open job in turn, and checks that nothing that was done is undone."""

    def __init__(self, url: str, history: History) -> None:
        super().__init__(name="follower", daemon=True)
        self._url, self._history = url, history
        self._over = threading.Event()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(PAUSE_SECONDS):
            for job in self._history.open_jobs:
                self.look(job)

    def look(self, job: Sent) -> None:
        """See how far a job is."""
        try:
            answer = httpx.get(f"{self._url}/jobs/{job.id}", timeout=REQUEST_SECONDS)
        except httpx.TransportError:
            return
        if answer.status_code in LATER:
            return
        if answer.status_code != 200:
            self._history.violations.append(f"GET of job {job.id}: {answer.status_code} {answer.text[:300]}")
            return
        seen = answer.json()
        if seen["rows"]["done"] < job.rows_done:
            self._history.violations.append(
                f"job {job.id} went back from {job.rows_done} to {seen['rows']['done']} rows"
            )
        job.rows_done, job.status, job.done = seen["rows"]["done"], seen["status"], seen["done"]


def right(kind: Kind, predictions: list[Any]) -> bool:
    """Whether a result holds the right answer for each row, in order."""
    return len(predictions) == len(kind.expected) and all(
        (given is None) == (wanted is None) and (wanted is None or np.asarray(given == wanted).all())
        for given, wanted in zip(predictions, kind.expected, strict=True)
    )
