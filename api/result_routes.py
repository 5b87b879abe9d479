"""Results and row errors. The Parquet file behaves like a static one: DuckDB and pandas read its URL."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from apiflask import APIBlueprint
from flask import Response, jsonify, request, send_file
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import dump_options_header

from api.context import scope, workshop
from api.presenting import job_resource
from api.ranges import holds, normalised
from jobs import partial, reading, results
from jobs.errors import Problem
from jobs.partial import Partial
from jobs.reading import JobView
from jobs.states import JobStatus

blueprint = APIBlueprint("results", __name__)

PARQUET = "application/vnd.apache.parquet"
JSONL = "application/x-ndjson"
PREVIEW_ROWS = 20
SHOWN_GAPS = 100  # a header has its limits; the Parquet file lists them all


@blueprint.get("/jobs/<job_id>/result")
@blueprint.get("/jobs/<job_id>/result.parquet", endpoint="parquet")
@blueprint.doc(
    summary="Download the result as Parquet", responses=[200, 206, 304, 404, 409, 410, 412, 416, 422]
)
def result(job_id: str) -> Response:
    """HEAD, Range and If-Range as for a static file; the ETag is the digest of its bytes.

    `?partial=1` gives what is scored so far of a job that has no result; `X-Rowmill-Missing-Rows` lists the
    rows that are not there.
    """
    view = _viewed(job_id)
    if _wants_partial(view):
        found = partial.of_job(workshop(), view.job, view.input)
        return _incomplete(found, found.parquet(), PARQUET, f"{_stem(view)}.partial.parquet")
    stored = view.job.result or {}
    if request.if_match and not request.if_match.contains(stored["sha256"]):
        raise PreconditionFailed("The result is not the one that If-Match names.")
    modified_at = view.job.finished_at or 0.0
    header = normalised(request.headers.get("Range"), stored["bytes"])
    if not holds(request.environ.pop("HTTP_IF_RANGE", None), stored["sha256"], modified_at):
        header = None
    if header is None:
        request.environ.pop("HTTP_RANGE", None)
    else:
        request.environ["HTTP_RANGE"] = header
    answer = send_file(
        _file(view),
        mimetype=PARQUET,
        as_attachment=True,
        download_name=f"{_stem(view)}.scored.parquet",
        conditional=True,
        etag=stored["sha256"],
        last_modified=modified_at,
    )
    digest = base64.b64encode(bytes.fromhex(stored["sha256"])).decode()
    answer.headers["Repr-Digest"] = f"sha-256=:{digest}:"
    answer.headers["Cache-Control"] = "private, immutable"
    answer.headers["X-Rowmill-Job"] = job_id
    return answer


@blueprint.get("/jobs/<job_id>/result.csv")
@blueprint.doc(summary="Download the result as CSV", responses=[200, 404, 409, 410, 422])
def as_csv(job_id: str) -> Response:
    """Made on the fly from the Parquet file; `?partial=1` as there."""
    return _view(_viewed(job_id), results.as_csv, "text/csv", "csv")


@blueprint.get("/jobs/<job_id>/result.jsonl")
@blueprint.doc(summary="Download the result as JSON Lines", responses=[200, 404, 409, 410, 422])
def as_jsonl(job_id: str) -> Response:
    """Made on the fly from the Parquet file; `?partial=1` as there."""
    return _view(_viewed(job_id), results.as_jsonl, JSONL, "jsonl")


def _view(
    view: JobView, form: Callable[[Iterable[pa.Table]], Iterator[bytes]], mimetype: str, suffix: str
) -> Response:
    if _wants_partial(view):
        found = partial.of_job(workshop(), view.job, view.input)
        return _incomplete(found, form(found.tables()), mimetype, f"{_stem(view)}.partial.{suffix}")
    return _stream(form(results.tables(_file(view))), mimetype, f"{_stem(view)}.scored.{suffix}")


def _wants_partial(view: JobView) -> bool:
    """Whether to send what is committed. Raises ``Problem`` if neither that nor a result is to be had."""
    text = request.args.get("partial", "0")
    if text not in ("0", "1", "false", "true"):
        raise Problem("bad_option", f"partial must be 0 or 1, not {text!r}.")
    if view.job.status == JobStatus.SUCCEEDED:
        return False
    if text in ("1", "true"):
        return True
    raise _no_result(view)


def _incomplete(found: Partial, pieces: Iterator[bytes], mimetype: str, name: str) -> Response:
    answer = _stream(pieces, mimetype, name)
    shown = [str(gap) for gap in found.gaps[:SHOWN_GAPS]] + ["..."] * (len(found.gaps) > SHOWN_GAPS)
    answer.headers["X-Rowmill-Missing-Rows"] = ", ".join(shown) or "none"
    return answer


@blueprint.get("/jobs/<job_id>/preview")
@blueprint.doc(summary="See the first rows of the result", responses=[200, 404, 409, 410])
def preview(job_id: str) -> Response:
    """The first 20 rows, and the job."""
    view = succeeded(job_id)
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


def _viewed(job_id: str) -> JobView:
    """A job whose files are there."""
    view = reading.view_job(workshop().database, scope(), job_id)
    if view.job.expired_at is not None:
        raise Problem(
            "result_expired",
            f"The files of job {job_id} were removed when its time was over. Submit the file again; "
            "the option ttl keeps it longer.",
        )
    return view


def _ended(job_id: str) -> JobView:
    view = _viewed(job_id)
    if not view.job.done:
        raise _no_result(view)
    return view


def succeeded(job_id: str) -> JobView:
    """A job that has a result. Raises ``Problem`` for any other."""
    view = _viewed(job_id)
    if view.job.status != JobStatus.SUCCEEDED:
        raise _no_result(view)
    return view


def _no_result(view: JobView) -> Problem:
    job = view.job
    rest = f"GET /jobs/{job.id}/result?partial=1 has the rows that were scored"
    if not job.done:
        advice = f"Wait for it: GET /jobs/{job.id}?wait=25; until then {rest}"
        return Problem("not_finished", f"Job {job.id} is {job.status}. {advice}.")
    if job.status == JobStatus.CANCELLED:
        return Problem("job_cancelled", f"Job {job.id} was cancelled, so it has no result; {rest}.")
    reason = (job.error or {}).get("message", "")
    return Problem("job_failed", f"Job {job.id} failed, so it has no result; {rest}. {reason}")


def _file(view: JobView) -> Path:
    """The stored result, if it is as long as it was. Raises ``Problem`` (``result_damaged``)."""
    stored = view.job.result or {}
    path = workshop().files.path(stored["file"])
    size = path.stat().st_size if path.is_file() else None
    if size != stored["bytes"]:
        raise results.result_damaged("it is gone" if size is None else f"{size} of {stored['bytes']} bytes")
    return path


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
