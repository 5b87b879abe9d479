"""Following a job until it ends: long polls that cost the server little and the caller no latency.

Knows when to ask again, not what the answer means for anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from rowmill.client.errors import WaitTimeout
from rowmill.client.resource import JobResource
from rowmill.client.transport import PATIENCE_SECONDS, Transport

LONG_POLL_SECONDS = 25
LONGEST_PAUSE_SECONDS = 0.5
AT_ONCE_SECONDS = (
    0.5  # an unchanged answer that came sooner was not a long poll: the server has no waiter free
)


def follow(
    transport: Transport, path: str, job_id: str, timeout_seconds: float | None
) -> Iterator[JobResource]:
    """Yield each new version of the job, the last one with `done`; WaitTimeout when the time is up first.

    A server that restarts meanwhile is waited for.
    """
    started, etag, eta = time.monotonic(), "", None
    while True:
        spent = time.monotonic() - started
        left = PATIENCE_SECONDS if timeout_seconds is None else max(timeout_seconds - spent, 0)
        asked = time.monotonic()
        response = transport.open(
            "GET",
            path,
            params={"wait": int(min(left, LONG_POLL_SECONDS))} if etag else {},
            headers={"If-None-Match": etag} if etag else {},
            patience_seconds=min(left, PATIENCE_SECONDS),
        )
        changed = response.status_code != 304
        if changed:
            job: JobResource = transport.decode(response)
            etag, eta = response.headers.get("ETag", ""), job["eta_seconds"]
            yield job
            if job["done"]:
                return
        elapsed = time.monotonic() - started
        if timeout_seconds is not None and elapsed >= timeout_seconds:
            raise WaitTimeout(job_id, timeout_seconds)
        if not changed and time.monotonic() - asked < AT_ONCE_SECONDS:
            pause = _retry_after_seconds(response.headers.get("Retry-After", ""))
        else:
            pause = _pause(elapsed, eta)
        time.sleep(pause if timeout_seconds is None else min(pause, timeout_seconds - elapsed))


def _retry_after_seconds(text: str) -> float:
    return min(float(text), LONG_POLL_SECONDS) if text.isdecimal() else 1.0


def _pause(elapsed: float, eta: float | None) -> float:
    """Seconds until the next question: half of what is left, at least a twentieth of the time waited.

    So a quick job is seen at once, and the questions about one whose version changes with each chunk do not
    take the processor from those who score it.
    """
    return min(max(elapsed / 20, (eta or 0.0) / 2), LONGEST_PAUSE_SECONDS)
