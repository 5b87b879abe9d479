"""What a person reads about jobs, as pure functions from the job resource to text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rowmill.client import JobResource, RowError
from rowmill.client.errors import failure_text

MAX_WARNINGS = 3


def duration(seconds: float) -> str:
    """A length of time as people say it, to the second."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(count: float) -> str:
    """A number of bytes in the largest decimal unit that keeps it above 1."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def rows_done(job: JobResource) -> str:
    """The counts of a job on one line."""
    return _counts(job) + _bad_rows(job)


def progress(job: JobResource) -> str:
    """Counts, speed and time left, as far as they are known; what may be cut off comes last."""
    speed = f" · {job['rows_per_second']:,.0f} rows/s" if job["rows_per_second"] else ""
    left = f" · {duration(job['eta_seconds'])} left" if job["eta_seconds"] is not None else ""
    return _counts(job) + (speed + left if not job["done"] else "") + _bad_rows(job)


def _counts(job: JobResource) -> str:
    rows = job["rows"]
    of_all = f" of {rows['total']:,}" if rows["total"] is not None else ""
    return f"{rows['done']:,}{of_all} rows"


def _bad_rows(job: JobResource) -> str:
    return f" · {job['rows']['failed']:,} with errors" if job["rows"]["failed"] else ""


def outcome(job: JobResource) -> str:
    """How the job ended, where to look if some rows did not go well, and a line for each warning."""
    reason = f": {failure_text(job)}" if job["status"] == "failed" else ""
    hint = f"; `rowmill errors {job['id']}` lists them" if job["rows"]["failed"] else ""
    return f"{job['status']}{reason} · {rows_done(job)}{hint}{_warnings(job)}"


def _warnings(job: JobResource) -> str:
    lines = [f"\nwarning: {warning}" for warning in job["warnings"]]
    more = len(lines) - MAX_WARNINGS
    if more > 0:
        lines[MAX_WARNINGS:] = [f"\n{more} more warnings; `rowmill status {job['id']}` lists them"]
    return "".join(lines)


def description(job: JobResource) -> str:
    """The job in a few lines, for `rowmill status`."""
    source, chunks = job["input"], job["chunks"]
    lines = {
        "id": job["id"],
        "name": job["name"],
        "status": job["status"],
        "reason": failure_text(job) if job["error"] else None,
        "model": model(job),
        "input": f"{source['name'] or 'unnamed'} ({source['format']}, {size(source['bytes'])})",
        "rows": progress(job),
        "chunks": f"{chunks['done']} of {chunks['total']} done" if chunks["total"] is not None else None,
        "created": job["created_at"],
        "finished": job["finished_at"],
        "expires": job["expires_at"],
        "tags": ", ".join(job["tags"]),
        "warnings": "; ".join(str(warning) for warning in job["warnings"]),
    }
    return "\n".join(f"{name:<10}{value}" for name, value in lines.items() if value)


def model(job: JobResource) -> str:
    """The version that the job is pinned to, as it can be asked for."""
    return f"{job['model']['name']}@{job['model']['version']}"


def listing(jobs: Iterable[JobResource]) -> str:
    """A table of jobs, for `rowmill ps`."""
    head = ("ID", "STATUS", "MODEL", "ROWS", "CREATED", "NAME")
    body = [
        (job["id"], job["status"], model(job), rows_done(job), job["created_at"], _label(job)) for job in jobs
    ]
    return table([head, *body])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells under each other; the first row is the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _label(job: JobResource) -> str:
    return job["name"] or job["input"]["name"] or ""


def row_error(error: RowError | Mapping[str, Any]) -> str:
    """One bad row on one line."""
    line = f" (line {error['line']})" if error.get("line") is not None else ""
    column = f", {error['column']}={error.get('value')!r}" if error.get("column") is not None else ""
    return f"row {error['row']}{line}{column}: {error['message']} ({error['code']})"
