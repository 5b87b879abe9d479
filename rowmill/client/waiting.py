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
    started, etag = time.monotonic(), ""
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
            etag = response.headers.get("ETag", "")
            yield job
            if job["done"]:
                return
        elapsed = time.monotonic() - started
        if timeout_seconds is not None and elapsed >= timeout_seconds:
            raise WaitTimeout(job_id, timeout_seconds)
        pause = _pause(changed, time.monotonic() - asked, elapsed, response.headers.get("Retry-After", ""))
        time.sleep(pause if timeout_seconds is None else min(pause, timeout_seconds - elapsed))


def _pause(changed: bool, answered_in: float, elapsed: float, retry_after: str) -> float:
    """Seconds until the next question: a fiftieth of the time waited so far.

    So a quick job is seen at once, and a long one, whose version changes with each chunk, is not asked about
    a hundred times a second.
    """
    if not changed and answered_in < AT_ONCE_SECONDS:
        return min(float(retry_after), LONG_POLL_SECONDS) if retry_after.isdecimal() else 1.0
    return min(elapsed / 50, LONGEST_PAUSE_SECONDS)
