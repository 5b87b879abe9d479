"""Results and row errors. The Parquet file behaves like a static one: DuckDB and pandas read its URL."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response, jsonify, request, send_file
from werkzeug.http import dump_options_header

from api.context import OWNER, workshop
from api.presenting import job_resource
from api.ranges import normalised
from jobs import reading, results
from jobs.errors import Problem
from jobs.reading import JobView
from jobs.states import JobStatus

blueprint = APIBlueprint("results", __name__)

PARQUET = "application/vnd.apache.parquet"
JSONL = "application/x-ndjson"
PREVIEW_ROWS = 20


@blueprint.get("/jobs/<job_id>/result")
@blueprint.get("/jobs/<job_id>/result.parquet", endpoint="parquet")
@blueprint.doc(summary="Download the result as Parquet", responses=[200, 206, 304, 404, 409, 410, 416])
def result(job_id: str) -> Response:
    """HEAD, Range and If-Range as for a static file; the ETag is the digest of its bytes."""
    view = _succeeded(job_id)
    stored = view.job.result or {}
    header = normalised(request.headers.get("Range"), stored["bytes"])
    if header is None:
        request.environ.pop("HTTP_RANGE", None)
    else:
        request.environ["HTTP_RANGE"] = header
    answer = send_file(
        workshop().files.path(stored["file"]),
        mimetype=PARQUET,
        as_attachment=True,
        download_name=f"{_stem(view)}.scored.parquet",
        conditional=True,
        etag=stored["sha256"],
        last_modified=view.job.finished_at,
    )
    digest = base64.b64encode(bytes.fromhex(stored["sha256"])).decode()
    answer.headers["Repr-Digest"] = f"sha-256=:{digest}:"
    answer.headers["Cache-Control"] = "private, immutable"
    answer.headers["X-Rowmill-Job"] = job_id
    return answer


@blueprint.get("/jobs/<job_id>/result.csv")
@blueprint.doc(summary="Download the result as CSV", responses=[200, 404, 409, 410])
def as_csv(job_id: str) -> Response:
    """Made on the fly from the Parquet file."""
    view = _succeeded(job_id)
    return _stream(results.as_csv(_file(view)), "text/csv", f"{_stem(view)}.scored.csv")


@blueprint.get("/jobs/<job_id>/result.jsonl")
@blueprint.doc(summary="Download the result as JSON Lines", responses=[200, 404, 409, 410])
def as_jsonl(job_id: str) -> Response:
    """Made on the fly from the Parquet file."""
    view = _succeeded(job_id)
    return _stream(results.as_jsonl(_file(view)), JSONL, f"{_stem(view)}.scored.jsonl")


@blueprint.get("/jobs/<job_id>/preview")
@blueprint.doc(summary="See the first rows of the result", responses=[200, 404, 409, 410])
def preview(job_id: str) -> Response:
    """The first 20 rows, and the job."""
    view = _succeeded(job_id)
    return jsonify({"rows": results.preview(_file(view), PREVIEW_ROWS), "job": job_resource(view)})


@blueprint.get("/jobs/<job_id>/errors.jsonl")
@blueprint.doc(summary="Download the row errors as JSON Lines", responses=[200, 404, 409, 410])
def errors_jsonl(job_id: str) -> Response:
    """One object for each thing wrong with a row; rows count from 0, lines from 1."""
    view = _ended(job_id)
    return _stream(results.errors_as_jsonl(_errors(view)), JSONL, f"{_stem(view)}.errors.jsonl")


@blueprint.get("/jobs/<job_id>/errors.csv")
@blueprint.doc(summary="Download the row errors as CSV", responses=[200, 404, 409, 410])
def errors_csv(job_id: str) -> Response:
    """The same as errors.jsonl, as a table."""
    view = _ended(job_id)
    return _stream(results.errors_as_csv(_errors(view)), "text/csv", f"{_stem(view)}.errors.csv")


def _ended(job_id: str) -> JobView:
    view = reading.view_job(workshop().database, OWNER, job_id)
    if view.job.expired_at is not None:
        raise Problem(
            "result_expired",
            f"The files of job {job_id} were removed when its time was over. Submit the file again; "
            "the option ttl keeps it longer.",
        )
    if not view.job.done:
        raise Problem(
            "not_finished", f"Job {job_id} is {view.job.status}. Wait for it: GET /jobs/{job_id}?wait=25"
        )
    return view


def _succeeded(job_id: str) -> JobView:
    view = _ended(job_id)
    if view.job.status == JobStatus.FAILED:
        reason = (view.job.error or {}).get("message", "")
        raise Problem("job_failed", f"Job {job_id} failed, so it has no result: {reason}")
    if view.job.status == JobStatus.CANCELLED:
        raise Problem("job_cancelled", f"Job {job_id} was cancelled, so it has no result.")
    return view


def _file(view: JobView) -> Path:
    return workshop().files.path((view.job.result or {})["file"])


def _errors(view: JobView) -> Iterator[dict[str, Any]]:
    shop = workshop()
    chunks = reading.list_chunks(shop.database, view.job.id)
    return results.row_errors(shop.files, chunks, reading.first_line(view.input))


def _stem(view: JobView) -> str:
    name = re.sub(r"[^\w.-]+", "_", view.input.name.replace("\\", "/").rpartition("/")[2])
    return (
        re.sub(
            r"(\.(csv|tsv|txt|jsonl|ndjson|json|parquet|zip|tar|tgz))?(\.(gz|gzip|zst|zstd))?$",
            "",
            name,
            flags=re.I,
        )
        or "input"
    )


def _stream(pieces: Iterator[bytes], mimetype: str, name: str) -> Response:
    answer = Response(pieces, mimetype=mimetype)
    # as RFC 6266 has it: a header is ASCII, so a name of another script is told twice
    names = {"filename": re.sub(r"[^\x20-\x7e]", "_", name), "filename*": f"UTF-8''{quote(name, safe='')}"}
    if name.isascii():
        del names["filename*"]
    answer.headers["Content-Disposition"] = dump_options_header("attachment", names)
    return answer
