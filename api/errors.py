"""Every refusal as problem+json (RFC 9457), and the one table from codes to HTTP statuses."""

from __future__ import annotations

from typing import Any

import structlog
from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, g, json, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestedRangeNotSatisfiable

from api import protocol_errors
from base.access.errors import AccessRefused
from base.formats import InputRefused
from jobs.errors import Problem
from models.errors import ModelError

log = structlog.get_logger()

# Anything that is wrong with what was sent and is not named here is a 422.
STATUSES = {
    "key_required": 401,
    "invalid_key": 401,
    "forbidden": 403,
    "quota_exceeded": 403,
    "invalid_link": 403,
    "link_expired": 403,
    "origin_not_allowed": 403,
    "host_not_allowed": 421,
    "job_not_found": 404,
    "unknown_model": 404,
    "unknown_version": 404,
    "unknown_alias": 404,
    "no_models": 404,
    "model_required": 400,
    "invalid_reference": 400,
    "bad_request": 400,
    "bad_multipart": 400,
    "bad_json": 400,
    "bad_cursor": 400,
    "bad_digest": 400,
    "content_digest_mismatch": 400,
    "incomplete_body": 400,
    "too_slow": 408,
    "newlines_stripped": 400,
    "unknown_option": 422,
    "too_large": 413,
    "decoded_too_large": 413,
    "too_many_rows": 413,
    "unsupported_encoding": 415,
    "unknown_format": 415,
    "not_finished": 409,
    "idempotency_key_in_use": 409,
    "nothing_to_retry": 409,
    "busy": 409,
    "job_failed": 409,
    "job_cancelled": 409,
    "result_expired": 410,
    "input_expired": 410,
    "version_retired": 410,
    "disk_low": 503,
    "queue_full": 503,
    # the operator's fault, not the client's
    "digest_mismatch": 500,
    "artefact_missing": 500,
    "part_damaged": 500,
    "result_damaged": 500,
}
# Browsers ask their user at the second; programs read the first.
CHALLENGES = ('Bearer realm="Rowmill"', 'Basic realm="Rowmill", charset="UTF-8"')
RETRY_AFTER_SECONDS = {
    "not_finished": 1,
    "idempotency_key_in_use": 5,
    "busy": 5,
    "disk_low": 60,
    "queue_full": 10,
    "database_down": 5,
}


def register(app: APIFlask) -> None:
    """Answer every exception of the app with problem+json."""
    for kind in (Problem, InputRefused, ModelError):
        app.register_error_handler(kind, _refusal)
    app.register_error_handler(AccessRefused, not_let_in)
    for missing in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(missing, _database_down)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(HTTPError, _http)
    app.register_error_handler(Exception, _bug)


def problem(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> Response:
    """A problem+json answer, or a refusal in the form of the protocol whose address was asked."""
    protocol = protocol_errors.protocol_of(request.path)
    if protocol is None:
        answer = _problem_json(status, code, detail, errors or [])
    else:
        answer = protocol_errors.in_form_of(protocol, status, detail, errors or [])
    if code in RETRY_AFTER_SECONDS:
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS[code])
    return answer


def _problem_json(status: int, code: str, detail: str, errors: list[dict[str, Any]]) -> Response:
    body = {
        "type": f"urn:rowmill:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.path,
        "errors": errors,
        "request_id": g.get("request_id"),
    }
    return Response(json.dumps(body) + "\n", status, mimetype="application/problem+json")


def _refusal(error: Problem | InputRefused | ModelError) -> Response:
    errors = getattr(error, "errors", [])  # a ModelError is about one thing
    return problem(STATUSES.get(error.code, 422), error.code, error.message, errors)


def not_let_in(error: AccessRefused) -> Response:
    """Why the door refused a request, and how to show a key if that was it."""
    answer = problem(STATUSES[error.code], error.code, error.message)
    if answer.status_code == 401:
        answer.headers.setlist("WWW-Authenticate", CHALLENGES)
    return answer


def _http(error: HTTPException | HTTPError) -> Response:
    status = int(getattr(error, "status_code", None) or getattr(error, "code", None) or 500)
    text = str(getattr(error, "message", None) or getattr(error, "description", None) or "")
    if status == 404:
        start = "/v2" if request.path.startswith("/v2/") else "/"
        text = f"There is nothing at {request.path}. GET {start} lists what there is."
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    if status == 405:
        text = f"{request.method} is not for {request.path}; allowed here: {allowed}."
        if request.method in ("PUT", "POST"):
            text += " Files are submitted to /jobs?model=NAME, without a slash at the end."
    name = "not_found" if status == 404 else str(getattr(error, "name", "error")).lower().replace(" ", "_")
    answer = problem(status, name, text)
    if isinstance(error, RequestedRangeNotSatisfiable):
        answer.headers["Content-Range"] = f"bytes */{error.length}"
    if allowed:
        answer.headers["Allow"] = allowed
    return answer


def _database_down(error: OperationalError | InterfaceError | PoolTimeout) -> Response:
    log.error("database not reached", reason=str(getattr(error, "orig", error)))
    return problem(503, "database_down", "The database cannot be reached. Nothing was accepted; try again.")


def _bug(_error: Exception) -> Response:
    log.exception("unexpected error", request_id=g.get("request_id"), path=request.path)
    return problem(
        500, "internal_error", f"Something went wrong here. Its log has it under {g.get('request_id')}."
    )
