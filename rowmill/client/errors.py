"""What can go wrong for a caller of the client.

RowmillError
├── ConnectError      no usable answer: nothing listens, the connection broke, or it is not a Rowmill server
├── ApiError          the server refused the request: code, status, problem
├── JobFailed         the job ended in `failed`: job
├── JobCancelled      the job ended in `cancelled`: job
├── WaitTimeout       the job goes on, the patience of the caller ended: job_id
├── DigestMismatch    an input or a result arrived damaged
└── NotComparable     two models, or their results, have nothing in common to compare

Wrong arguments are TypeError or ValueError, as everywhere in Python; they are not in this tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowmill.client.resource import JobResource


class RowmillError(Exception):
    """Root of everything that the client raises on purpose."""


class ConnectError(RowmillError):
    """The server could not be reached, or what answered is not Rowmill."""


class ApiError(RowmillError):
    """The server answered with an error; `code` is stable and meant for programs, the text for people."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_seconds: float | None = None
    ) -> None:
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.problem = dict(problem)
        self.code = str(problem.get("code") or f"http_{status}")
        self.detail = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
        super().__init__("\n".join([self.detail, *self.entries()]))

    def entries(self) -> list[str]:
        """One line for each entry of the problem's `errors` that `detail` does not already say."""
        entries = self.problem.get("errors") or []
        return [_entry_line(entry) for entry in entries if _entry_text(entry) not in self.detail]


class JobFailed(RowmillError):
    """The job ended in `failed`; `job` is its last resource, with the reason under `error`."""

    def __init__(self, job: JobResource) -> None:
        self.job = job
        super().__init__(f"job {job['id']} failed: {failure_text(job)}")


class JobCancelled(RowmillError):
    """Somebody cancelled the job; `job` is its last resource."""

    def __init__(self, job: JobResource) -> None:
        self.job = job
        super().__init__(f"job {job['id']} was cancelled")


class WaitTimeout(RowmillError):
    """The job did not end in the time that the caller allowed; it goes on."""

    def __init__(self, job_id: str, timeout_seconds: float) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id} did not end within {timeout_seconds:g} s; it goes on")


class DigestMismatch(RowmillError):
    """The bytes that arrived are not those that were sent."""


class NotComparable(RowmillError):
    """Two models answer different questions, or two results are not of the same rows."""


def failure_text(job: JobResource) -> str:
    """The reason that a failed job gives, as one line."""
    error = job.get("error")
    if isinstance(error, Mapping):
        text = str(error.get("message") or error.get("detail") or error.get("code") or error)
        return f"{text} ({error['code']})" if error.get("code") and str(error["code"]) not in text else text
    return str(error or "no reason given")


def _entry_line(entry: object) -> str:
    text = _entry_text(entry)
    if not isinstance(entry, Mapping):
        return text
    places = [f"{key} {entry[key]}" for key in ("pointer", "row", "column") if entry.get(key) is not None]
    return f"{', '.join(places)}: {text}" if places else text


def _entry_text(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    return str(entry.get("message") or entry.get("detail") or entry.get("code") or dict(entry))
