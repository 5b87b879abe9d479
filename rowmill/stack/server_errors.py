"""What the server answers without the app, as problem+json: to what is no HTTP, too long or too slow."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gunicorn.http import errors

from api.headers import DATA_HEADERS


@dataclass(frozen=True)
class Refusal:
    """Status with its reason, and what stands in the problem."""

    status: int
    reason: str
    code: str
    detail: str


BAD_REQUEST = Refusal(400, "Bad Request", "bad_request", "This is no valid HTTP request.")
TOO_SLOW = Refusal(408, "Request Timeout", "request_timeout", "The rest of the request did not come in time.")
ADDRESS_TOO_LONG = Refusal(
    414, "URI Too Long", "address_too_long", "The address is too long. Options of a job may stand in a form."
)
EXPECTATION_FAILED = Refusal(
    417, "Expectation Failed", "expectation_failed", "Expect can be 100-continue, nothing else."
)
HEADERS_TOO_LARGE = Refusal(
    431,
    "Request Header Fields Too Large",
    "headers_too_large",
    "There are too many headers, or they are too long.",
)
INTERNAL = Refusal(500, "Internal Server Error", "internal_error", "Something went wrong here.")
UNSUPPORTED_CODING = Refusal(
    501, "Not Implemented", "unsupported_transfer_coding", "Transfer-Encoding can be chunked, nothing else."
)

_BY_ERROR: tuple[tuple[type[Exception], Refusal], ...] = (
    (errors.InvalidResponseHeader, INTERNAL),  # the app's fault, though it is a kind of InvalidHeader
    (errors.InvalidResponseHeaderName, INTERNAL),
    (errors.LimitRequestLine, ADDRESS_TOO_LONG),
    (errors.LimitRequestHeaders, HEADERS_TOO_LARGE),
    (errors.ExpectationFailed, EXPECTATION_FAILED),
    (errors.UnsupportedTransferCoding, UNSUPPORTED_CODING),
    (TimeoutError, TOO_SLOW),
    (errors.ConfigurationProblem, INTERNAL),
    (errors.ParseException, BAD_REQUEST),
)


def refusal_of(error: BaseException) -> Refusal:
    """What to answer to what gunicorn raised."""
    return next((refusal for kind, refusal in _BY_ERROR if isinstance(error, kind)), INTERNAL)


def answer(refusal: Refusal, request_id: str, head: bytes) -> bytes:
    """The whole answer to what began with ``head``, after which the connection ends."""
    problem = {
        "type": f"urn:rowmill:problem:{refusal.code}",
        "title": refusal.reason,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail,
        "errors": [],
        "request_id": request_id,
    }
    body = json.dumps(problem) + "\n"
    headers = (
        ("Content-Type", "application/problem+json"),
        ("Content-Length", len(body)),
        ("X-Request-ID", request_id),
        *DATA_HEADERS,
        ("Connection", "close"),
    )
    lines = [
        f"HTTP/1.1 {refusal.status} {refusal.reason}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    if head.removeprefix(b"\r\n").startswith(b"HEAD "):
        body = ""
    return "\r\n".join([*lines, "", body]).encode()
