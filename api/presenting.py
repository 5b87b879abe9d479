"""Records as public JSON: the one place that knows the names of fields and links."""

from __future__ import annotations

from typing import Any

from flask import url_for

from base.times import rfc3339
from jobs.reading import JobView
from jobs.records import Input, Job
from jobs.states import JobStatus


def timestamp(seconds: float | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return None if seconds is None else rfc3339(seconds)


def job_resource(view: JobView) -> dict[str, Any]:
    """The job as every answer shows it."""
    job, tally = view.job, view.tally
    return {
        "id": job.id,
        "name": job.name,
        "owner": job.owner,
        "status": job.status,
        "done": job.done,
        "retry_of": job.retry_of,
        "model": {
            "name": job.model_name,
            "version": job.model_version,
            "sha256": job.model_sha256,
            "scorer": view.scorer,
        },
        "rows": {"total": job.rows_total, "done": job.rows_done, "failed": job.rows_failed},
        "chunks": {
            "total": job.chunks_total,
            "pending": tally.pending,
            "running": tally.running,
            "done": tally.done,
            "failed": tally.failed,
            "retried": tally.retried,
        },
        "progress": round(tally.share_done, 4),
        "rows_per_second": None if view.rows_per_second is None else round(view.rows_per_second, 1),
        "eta_seconds": None if view.eta_seconds is None else round(view.eta_seconds, 1),
        "created_at": timestamp(job.created_at),
        "started_at": timestamp(job.started_at),
        "finished_at": timestamp(job.finished_at),
        "expires_at": timestamp(job.expires_at),
        "input": _input(view.input),
        "result": _result(job),
        "options": job.options,
        "error": job.error,
        "error_counts": job.error_counts,
        "errors_preview": view.errors_preview,
        "warnings": job.warnings,
        "tags": job.tags,
        "links": links(job),
    }


def _input(source: Input) -> dict[str, Any]:
    return {
        "name": source.name,
        "format": source.shape["format"],
        "bytes": source.bytes,
        "sha256": source.sha256,
    }


def _result(job: Job) -> dict[str, Any] | None:
    if job.result is None or job.expired_at is not None:
        return None
    return {"bytes": job.result["bytes"], "sha256": job.result["sha256"]}


def links(job: Job) -> dict[str, str]:
    """Where to go from a job; what it cannot give yet, or any more, is left out."""
    found = {"self": url_for("jobs.show", job_id=job.id)}
    if not job.done:
        found["cancel"] = url_for("jobs.cancel", job_id=job.id)
    if job.expired_at is None and job.status == JobStatus.SUCCEEDED:
        found["result"] = url_for("results.parquet", job_id=job.id)
        found["result_csv"] = url_for("results.as_csv", job_id=job.id)
        found["result_jsonl"] = url_for("results.as_jsonl", job_id=job.id)
        found["preview"] = url_for("results.preview", job_id=job.id)
    if job.expired_at is None and job.done:
        if job.status != JobStatus.SUCCEEDED:
            found["retry"] = url_for("again.retry", job_id=job.id)
        found["clone"] = url_for("again.clone", job_id=job.id)
    if job.expired_at is None and job.rows_done and job.status != JobStatus.SUCCEEDED:
        found["partial_result"] = url_for("results.parquet", job_id=job.id, partial=1)
    if job.expired_at is None and job.done and job.rows_failed:
        found["errors"] = url_for("results.errors_jsonl", job_id=job.id)
        found["errors_csv"] = url_for("results.errors_csv", job_id=job.id)
    return found
