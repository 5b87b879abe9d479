"""Requests to routes that take no body: one that comes with a body is refused, not half understood."""

from __future__ import annotations

from apiflask import APIFlask
from flask import request

from api import uploads
from jobs.errors import Problem

TAKE_BODIES = frozenset(
    {
        "jobs.submit",
        "feedback.feedback",
        "predict.predict",
        "mlflow.invocations",
        "v2.infer",
        "v2.version_infer",
    }
)
# Clients that send JSON by habit send this where there is nothing to say.
EMPTY = (b"", b"{}")
LOOKED_AT_BYTES = 1024


def register(app: APIFlask) -> None:
    """Refuse bodies where none is read."""
    app.before_request(_refuse_body)


def _refuse_body() -> None:
    environ = request.environ
    has_body = environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ
    endpoint = request.endpoint
    is_read = endpoint in TAKE_BODIES and request.method != "OPTIONS"  # which Flask answers by itself
    if not has_body or endpoint is None or is_read:
        return
    announced = request.content_length or 0
    if announced > LOOKED_AT_BYTES:
        raise _too_much(announced)
    body, received = uploads.Body(request), b""
    while len(received) <= LOOKED_AT_BYTES and (block := body.read(LOOKED_AT_BYTES)):
        received += block
    if len(received) > LOOKED_AT_BYTES:
        raise _too_much(len(received))
    if received.strip() not in EMPTY:
        raise Problem(
            "unexpected_body",
            f"{request.method} {request.path} reads no body, but one was sent. Options stand in the URL.",
        )


def _too_much(count: int) -> Problem:
    return Problem(
        "too_large",
        f"{request.method} {request.path} reads no body, but one of {count} bytes was sent.",
    )
