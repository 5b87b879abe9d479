"""The answer to a request that made a job: 202, where to find it, and what the request preferred."""

from __future__ import annotations

from flask import Response, jsonify, request, url_for

from api import waiting
from api.context import scope, workshop
from api.presenting import job_resource
from jobs import reading
from jobs.records import Job


def accepted(job: Job, *, is_new: bool) -> Response:
    """202 and the job; ``Prefer: wait=N`` holds the answer until the job has ended, or for N seconds."""
    shop = workshop()
    seconds = waiting.preferred_seconds(request)
    waited = bool(seconds) and waiting.until_ended(job, seconds)
    view = reading.view_job(shop.database, scope(), job.id)
    resource = job_resource(view)
    if not view.job.done and not reading.count_live_workers(
        shop.database, 3 * shop.settings.heartbeat_seconds
    ):
        resource["warnings"] = [
            *resource["warnings"],
            "No worker is running; the job starts as soon as one does.",
        ]
    answer = jsonify(resource)
    answer.status_code = 202
    answer.headers["Location"] = url_for("jobs.show", job_id=job.id)
    if not view.job.done:
        answer.headers["Retry-After"] = "1"
    if waited:
        answer.headers["Preference-Applied"] = f"wait={seconds}"
    if not is_new:
        answer.headers["Idempotent-Replayed"] = "true"
    return answer
