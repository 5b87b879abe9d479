"""Answers that wait for a job: ``GET ?wait=`` and ``Prefer: wait=`` (RFC 7240), under one bound.

A request that waits holds a thread, so only a few may at a time, and none for long.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from flask import Request
from werkzeug.datastructures import ETags

from api.context import scope, workshop
from jobs import reading
from jobs.errors import Problem
from jobs.records import Job

MAX_WAIT_SECONDS = 30.0
# A waiting request looks at the database this often: at least, at most, and in between by the job's age, so
# that nobody learns of an end more than some percent late, and workers are hardly disturbed.
FIRST_POLL_SECONDS = 0.005
SLOWEST_POLL_SECONDS = 0.25
POLL_SHARE_OF_AGE = 1 / 30
# Each waiting request holds a thread; beyond this many, an answer comes at once.
_waiting = threading.BoundedSemaphore(4)


def seconds_of(request: Request) -> float:
    """What ``?wait=`` asks for, bounded. Raises ``Problem`` for what is no number of seconds."""
    text = request.args.get("wait")
    if text is None:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise Problem("bad_option", f"wait must be a number of seconds, such as 25, not {text!r}.")
    return min(seconds, MAX_WAIT_SECONDS)


def preferred_seconds(request: Request) -> int:
    """What ``Prefer: wait=`` asks for, bounded; 0 if nothing, or nothing that can be understood."""
    for preference in request.headers.get("Prefer", "").split(","):
        match = re.fullmatch(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?', preference, re.IGNORECASE)
        if match:
            return min(int(match[1]), int(MAX_WAIT_SECONDS))
    return 0


def until_changed(job_id: str, seen: ETags, seconds: float) -> None:
    """Return once the job differs from what the client has ``seen``, or else from what it is now."""
    job = reading.find_job(workshop().database, scope(), job_id)
    if not job.done and (not seen or seen.contains_weak(str(job.revision))):
        _wait(job, seconds, lambda: True)


def until_ended(job: Job, seconds: float) -> bool:
    """Return once the job has ended; False at once if too many wait already."""

    def ended() -> bool:
        return reading.find_job(workshop().database, scope(), job.id).done

    return job.done or _wait(job, seconds, ended)


def _wait(job: Job, seconds: float, enough: Callable[[], bool]) -> bool:
    """Wait for a change that is ``enough``; False at once if there is no room to wait."""
    if not seconds or not _waiting.acquire(blocking=False):
        return False
    try:
        revision: int | None = job.revision
        end = time.monotonic() + seconds
        pause = max(FIRST_POLL_SECONDS, (time.time() - job.created_at) * POLL_SHARE_OF_AGE)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, SLOWEST_POLL_SECONDS, left))
            pause *= 1.3
            known, revision = revision, reading.revision(workshop().database, scope(), job.id)
            if revision != known and enough():
                break
    finally:
        _waiting.release()
    return True
