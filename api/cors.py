"""CORS: pages of the sites that the setting lists may call the API and read its answers; off without any.

No cookie and no login of a browser is ever taken along (there is no ``Access-Control-Allow-Credentials``): a
page shows a key of its own, or none.
"""

from __future__ import annotations

from apiflask import APIFlask
from flask import Response, request

from base.access.hosts import listed

METHODS = "GET, HEAD, POST, PUT, DELETE"
SENT = (
    "Authorization, X-API-Key, Content-Type, Content-Encoding, Content-Digest, Content-Disposition, "
    "Idempotency-Key, Prefer, If-Match, If-None-Match, If-Range, Range, X-Request-ID, "
    "Inference-Header-Content-Length, X-Rowmill-Key"
)
READ = (
    "Location, Retry-After, ETag, X-Request-ID, Link, Content-Disposition, Content-Range, Repr-Digest, "
    "Preference-Applied, Idempotent-Replayed, X-Rowmill-Missing-Rows, Inference-Header-Content-Length"
)
MAX_AGE_SECONDS = 600


def register(app: APIFlask, allowed_origins: str) -> None:
    """Answer the questions of browsers, and mark answers for those that may be read."""
    allowed = frozenset(origin.rstrip("/") for origin in listed(allowed_origins))
    if not allowed:
        return

    def answer_preflight() -> Response | None:
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or request.headers.get("Origin", "").lower() not in allowed:
            return None
        answer = Response(status=204)
        answer.headers["Access-Control-Allow-Methods"] = METHODS
        answer.headers["Access-Control-Allow-Headers"] = SENT
        answer.headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
        return answer

    def mark(answer: Response) -> Response:
        answer.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if origin.lower() in allowed:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = READ
        return answer

    app.before_request(answer_preflight)
    app.after_request(mark)
