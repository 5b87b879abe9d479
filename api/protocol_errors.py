"""Refusals in the form of the protocol that was spoken: MLflow's and V2's clients read no problem+json.

A protocol is known by its addresses, so that an address that is not there, a method that is not allowed or a
limit in front of all routes is told in its form too. What is wrong is decided elsewhere (``errors``).
"""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, json

Protocol = Literal["mlflow", "v2"]

MLFLOW_PATHS = ("/invocations", "/ping", "/version")
# MLflow's own names; whatever is not here is a BAD_REQUEST or an INTERNAL_ERROR
MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
# One sentence has to hold them; nobody reads more of it.
MAX_SAID = 20


def protocol_of(path: str) -> Protocol | None:
    """The protocol that an address belongs to; None for Rowmill's own."""
    if path == "/v2" or path.startswith("/v2/"):
        return "v2"
    return "mlflow" if path in MLFLOW_PATHS else None


def in_form_of(protocol: Protocol, status: int, detail: str, errors: list[dict[str, Any]]) -> Response:
    """The refusal as a client of ``protocol`` expects it. Both have 400 for what Rowmill calls a 422."""
    status = 400 if status == 422 else status
    text = detail + _listed(errors)
    body = {"error": text} if protocol == "v2" else {"error_code": _mlflow_code(status), "message": text}
    return Response(json.dumps(body) + "\n", status, mimetype="application/json")


def _mlflow_code(status: int) -> str:
    return MLFLOW_CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")


def _listed(errors: list[dict[str, Any]]) -> str:
    """Both forms have room for one text; where there are several places, they stand in it."""
    if len(errors) < 2:
        return ""
    said = [f"{error['pointer']}: {error.get('detail', '')}" for error in errors if "pointer" in error]
    more = f" and {len(said) - MAX_SAID} more." if len(said) > MAX_SAID else ""
    return " In detail: " + " ".join(said[:MAX_SAID]) + more if said else ""
