"""Handing results on: addresses that open without a key, for a while."""

from __future__ import annotations

from typing import cast

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, request
from pydantic import TypeAdapter, ValidationError

from api.auth import Door
from api.context import caller, workshop
from api.presenting import links, timestamp
from api.result_routes import succeeded
from base.access.links import Link
from jobs.errors import Problem
from jobs.options import Seconds

blueprint = APIBlueprint("links", __name__)

DEFAULT_SECONDS = 3600.0
MAX_SECONDS = 7 * 86400.0
# What of a job's links may be handed on: only what is read, and belongs to the result.
HANDED_ON = ("result", "result_csv", "result_jsonl", "preview", "errors", "errors_csv")
_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)


@blueprint.post("/jobs/<job_id>/links")
@blueprint.doc(summary="Make links to the results", responses=[201, 404, 409, 410, 422])
def make(job_id: str) -> Response:
    """Whole URLs that DuckDB, pandas and a browser open as they stand.

    `?for=12h` says for how long: an hour if it is left out, a week at most. They end early with the key that
    made them.
    """
    shop = workshop()
    seconds = _seconds_asked()
    job = succeeded(job_id).job
    with shop.database.reading() as connection:
        expires_at = int(shop.database.now(connection) + seconds)
    link = Link(job.owner, caller().key_id, expires_at)
    signer = cast(Door, current_app.extensions["door"]).links
    # signed is what the server sees of an address: the path behind any prefix that a proxy took off
    root = request.script_root
    signed = {
        name: request.host_url.rstrip("/") + path + "?link=" + signer.sign(path.removeprefix(root), link)
        for name, path in links(job).items()
        if name in HANDED_ON
    }
    answer = jsonify({"expires_at": timestamp(expires_at), "links": signed})
    answer.status_code = 201
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _seconds_asked() -> float:
    if unknown := set(request.args) - {"for"}:
        raise Problem("unknown_option", f"Links have no option {min(unknown)[:100]!r}, only for.")
    text = request.args.get("for", str(DEFAULT_SECONDS))
    try:
        seconds = _SECONDS.validate_python(text)
    except ValidationError:
        seconds = 0.0
    if not 1 <= seconds <= MAX_SECONDS:
        raise Problem("bad_option", f"for must be a time from 1s to 7d, such as 12h, not {text[:100]!r}.")
    return seconds
