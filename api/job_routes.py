"""Submitting, reading, cancelling and deleting jobs."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, jsonify, request, url_for

from api import idempotency, metering, overload, uploads, waiting
from api.accepted import accepted
from api.context import caller, quota, scope, workshop
from api.digests import BodyDigests
from api.presenting import job_resource
from base.access.errors import AccessRefused
from base.database.tables import EVERYBODY
from base.formats import looks_newline_stripped, newlines_stripped
from jobs import intake, reading
from jobs.dry_run import dry_run
from jobs.errors import Problem
from jobs.lifecycle import ending, quotas
from jobs.lifecycle.submission import accept, find_keyed, find_repeat
from jobs.lifecycle.window import PLAN, send_step
from jobs.options import Options, parse_options
from jobs.reading import JobView
from jobs.records import Job
from jobs.states import JobStatus

blueprint = APIBlueprint("jobs", __name__)

HEAD_BYTES = 1 << 20
LIST_OPTIONS = ("status", "model", "tag", "owner", "limit", "cursor")


@blueprint.route("/jobs", methods=["POST", "PUT"])
@blueprint.doc(
    summary="Submit a file to be scored", responses=[200, 202, 400, 404, 409, 410, 413, 415, 422, 503]
)
def submit() -> Response:
    """The body is the file, or a form with the part `file` or many parts `image`.

    The options stand in the URL or in the form.
    """
    with uploads.drained(request):
        return _submit()


def _submit() -> Response:
    shop = workshop()
    uploads.refuse_unknown_coding(request)
    key, digests = idempotency.key_of(request), BodyDigests(request)
    query = dict(request.args.lists())
    form = uploads.is_multipart(request)
    if not form:
        early = parse_options(uploads.options_of(query, {}))
        shop.registry.resolve(early.model, shop.settings.default_model or None)
    overload.refuse_when_full(key)
    _refuse_beyond_quota(key)
    limits = (shop.settings.max_upload_bytes, shop.settings.min_free_bytes)
    with (
        idempotency.receiving(request, key, digests) as keep_key,
        intake.receive(shop.files, request.content_length, *limits) as upload,
    ):
        body = uploads.Body(request, keep_key, digests.watch)
        name, fields = "", dict[str, str]()
        if form:
            name, fields = uploads.read_form(request, body, upload)
        else:
            name = uploads.read_raw(request, body, upload)
        upload.finish()
        options = parse_options(uploads.options_of(query, fields))
        return _decide(upload, options, name, key)


def _refuse_beyond_quota(key: str | None) -> None:
    """Say so before the file is received, unless the request may be one that was accepted before."""
    database, owner = workshop().database, caller().owner
    if quota() and (key is None or find_keyed(database, owner, key) is None):
        quotas.check(database, owner, quota(), request.content_length or 0)


def _decide(upload: intake.Upload, options: Options, name: str, key: str | None) -> Response:
    shop = workshop()
    if request.mimetype == "application/x-www-form-urlencoded":
        _refuse_stripped(upload)
    asked = idempotency.fingerprint(upload.sha256, options)
    # before the file is looked at: the model that it was fine for may be another one by now
    if not options.dry_run and (made := find_repeat(shop.database, caller().owner, key, asked)):
        return accepted(made, is_new=False)
    examined = intake.examine(shop, upload.path, options)
    metering.noted(examined.manifest)
    if options.dry_run:
        return jsonify(dry_run(shop, upload.path, examined, options))
    file_name = name or f"input.{examined.shape.format}"
    submission = intake.submission(
        shop,
        upload,
        examined,
        options,
        owner=caller().owner,
        file_name=file_name,
        key=key,
        request_sha256=asked,
    )
    is_new = False
    try:
        job, is_new = accept(shop.database, submission, quota())
    finally:
        if not is_new:
            intake.withdraw(shop, submission)
    if is_new:
        send_step(shop.database, shop.broker, PLAN, job.id)
    return accepted(job, is_new=is_new)


def _refuse_stripped(upload: intake.Upload) -> None:
    """curl's -d labels a body as a form and takes its newlines out; --data-binary only labels it."""
    with upload.path.open("rb") as stream:
        if looks_newline_stripped(stream.read(HEAD_BYTES)):
            raise newlines_stripped()


@blueprint.get("/jobs/<job_id>")
@blueprint.doc(summary="Read a job", responses=[200, 304, 404])
def show(job_id: str) -> Response:
    """Always 200 while the job exists. `?wait=25` answers when it changes, or after that many seconds."""
    etags = request.if_none_match
    waiting.until_changed(job_id, etags, waiting.seconds_of(request))
    shop = workshop()
    view = reading.view_job(shop.database, scope(), job_id)
    tag = str(view.job.revision)
    answer = Response(status=304) if etags.contains_weak(tag) else jsonify(job_resource(view))
    # weak: pace and time left move on between two changes
    answer.set_etag(tag, weak=True)
    answer.headers["Cache-Control"] = "private, no-cache"
    if not view.job.done:
        answer.headers["Retry-After"] = "1"
    return answer


@blueprint.get("/jobs")
@blueprint.doc(summary="List jobs, newest first", responses=[200, 400, 422])
def index() -> Response:
    """Filters: `status`, `model` (name or name@version), `tag`, for admins `owner`.

    `limit`; `cursor` of the last answer.
    """
    shop = workshop()
    if unknown := set(request.args).difference(LIST_OPTIONS):
        raise Problem("unknown_option", f"GET /jobs has no {min(unknown)!r}, only {', '.join(LIST_OPTIONS)}.")
    status, limit = request.args.get("status"), _limit()
    if status is not None and status not in set(JobStatus):
        raise Problem("bad_option", f"status must be one of {', '.join(JobStatus)}, not {status!r}.")
    found = reading.list_jobs(
        shop.database,
        _listed_owner(),
        status=status,
        model=request.args.get("model"),
        tag=request.args.get("tag"),
        before=_cursor(),
        limit=limit + 1,
    )
    jobs = [_resource(job) for job in found[:limit]]
    answer: dict[str, Any] = {
        "jobs": jobs,
        "next_cursor": found[limit - 1].id if len(found) > limit else None,
    }
    response = jsonify(answer)
    if answer["next_cursor"]:
        following = {**request.args.to_dict(), "cursor": answer["next_cursor"]}
        response.headers["Link"] = f'<{url_for("jobs.index", **following)}>; rel="next"'
    return response


def _resource(job: Job) -> dict[str, Any]:
    view: JobView = reading.view(workshop().database, job)
    return job_resource(view)


def _listed_owner() -> str:
    """Whose jobs are asked for; an admin may name anybody, others themselves."""
    wanted = request.args.get("owner", "")
    if not wanted or scope() in (EVERYBODY, wanted):
        return wanted or scope()
    raise AccessRefused("forbidden", f"Only a key with the role admin lists jobs of {wanted[:100]!r}.")


def _cursor() -> str | None:
    text = request.args.get("cursor")
    try:
        return text and str(UUID(text))
    except ValueError:
        raise Problem(
            "bad_cursor", f"cursor is the next_cursor of an answer before, not {text!r}. Begin without it."
        ) from None


def _limit() -> int:
    text = request.args.get("limit", "20")
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise Problem("bad_option", f"limit must be a number from 1 to 100, not {text!r}.")
    return int(text)


@blueprint.post("/jobs/<job_id>/cancel")
@blueprint.doc(summary="Cancel a job", responses=[202, 404])
def cancel(job_id: str) -> Response:
    """Ends a job that has not ended; what runs stops within a batch. Harmless to repeat."""
    shop = workshop()
    ending.cancel(shop.database, scope(), job_id)
    answer = jsonify(job_resource(reading.view_job(shop.database, scope(), job_id)))
    answer.status_code = 202
    return answer


@blueprint.delete("/jobs/<job_id>")
@blueprint.doc(summary="Delete a job and its files", responses=[204, 404])
def delete(job_id: str) -> Response:
    """Cancels it first if it runs."""
    shop = workshop()
    ending.delete_job(shop.database, shop.files, scope(), reading.find_job(shop.database, scope(), job_id))
    return Response(status=204)
