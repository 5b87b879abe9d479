"""New jobs from old ones: retry what failed, clone what ended."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, request

from api import idempotency, overload, uploads
from api.accepted import accepted
from api.context import quota, scope, workshop
from jobs import again, reading
from jobs.lifecycle.submission import NewJob, accept_child, find_repeat
from jobs.lifecycle.window import PLAN, send_step
from jobs.records import Job

blueprint = APIBlueprint("again", __name__)


@blueprint.post("/jobs/<job_id>/retry")
@blueprint.doc(summary="Retry a job that failed or was cancelled", responses=[202, 404, 409, 410, 422, 503])
def retry(job_id: str) -> Response:
    """A new job that scores only what its parent did not commit; its result is whole."""
    shop = workshop()
    parent = reading.find_job(shop.database, scope(), job_id)
    options = again.retry_options(parent, _given())
    key, asked = idempotency.key_of(request), idempotency.fingerprint(f"retry of {job_id}", options)
    if made := find_repeat(shop.database, parent.owner, key, asked):
        return accepted(made, is_new=False)
    overload.refuse_when_full(key)
    return _accept(parent, again.retry(shop, parent, options, key=key, request_sha256=asked))


@blueprint.post("/jobs/<job_id>/clone")
@blueprint.doc(summary="Score a job's input again", responses=[202, 404, 409, 410, 422, 503])
def clone(job_id: str) -> Response:
    """A new job on the same input: `?model=`, `keep` and other options change what is done with it."""
    shop = workshop()
    view = reading.view_job(shop.database, scope(), job_id)
    options = again.clone_options(view.job, _given())
    key, asked = idempotency.key_of(request), idempotency.fingerprint(f"clone of {job_id}", options)
    if made := find_repeat(shop.database, view.job.owner, key, asked):
        return accepted(made, is_new=False)
    overload.refuse_when_full(key)
    return _accept(view.job, again.clone(shop, view.job, view.input, options, key=key, request_sha256=asked))


def _given() -> dict[str, str]:
    return uploads.options_of(dict(request.args.lists()), {})


def _accept(parent: Job, new: NewJob) -> Response:
    shop = workshop()
    job, is_new = accept_child(shop.database, new, parent.id, quota())
    if is_new:
        send_step(shop.database, shop.broker, PLAN, job.id)
    return accepted(job, is_new=is_new)
