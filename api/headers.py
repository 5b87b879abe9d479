"""Headers that every answer carries, whatever it is an answer to."""

from __future__ import annotations

SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
# Pages say themselves what they load; data load nothing, and stand in no other site's frame.
DATA_HEADERS = (*SECURITY_HEADERS, ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
# No script, no frame, nothing from elsewhere: what a page shows came from files and names of users.
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
