"""``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header-07): one key makes one job.

The same key with the same request gets the job of then; with another request 422; while the first request is
still being received 409. A key is known for as long as its job is.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from flask import Request
from sqlalchemy.exc import SQLAlchemyError

from api.context import caller, workshop
from api.digests import BodyDigests
from jobs.errors import Problem
from jobs.lifecycle.keys import KeyLease
from jobs.lifecycle.submission import find_keyed, key_reused
from jobs.options import Options

MAX_KEY_LENGTH = 255
# So little comes at once: two requests of this size need no lease, whose writing costs more than they do.
SMALL_BODY_BYTES = 64 << 10

log = structlog.get_logger()


def key_of(request: Request) -> str | None:
    """The key of a request, if it has one; with or without quotes."""
    key = request.headers.get("Idempotency-Key", "").strip().strip('"')
    if len(key) > MAX_KEY_LENGTH:
        raise Problem(
            "bad_option", f"Idempotency-Key has {len(key)} characters; send {MAX_KEY_LENGTH} at most."
        )
    return key or None


def fingerprint(content: str, options: Options) -> str:
    """What makes two requests the same: ``content`` (a digest, or what else is asked for) and all options."""
    text = json.dumps([content, options.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def receiving(request: Request, key: str | None, digests: BodyDigests) -> Iterator[Callable[[bytes], None]]:
    """Hold the key while a body is received; what the block is given is to be called with each block.

    Raises ``Problem`` at once where the key is taken, or belongs to a job with another file, as far as length
    and digest tell before a byte is read.
    """
    if key is None:
        yield _nothing
        return
    if made := find_keyed(workshop().database, caller().owner, key):
        announced = (request.content_length, digests.sha256())
        if not request.mimetype.startswith("multipart/") and any(
            value not in (None, known) for value, known in zip(announced, made[1:], strict=True)
        ):
            raise key_reused(key, made[0])
        yield _nothing
        return
    settings = workshop().settings
    lease = KeyLease(workshop().database, caller().owner, key, settings.lease_seconds)
    if request.content_length is not None and request.content_length <= SMALL_BODY_BYTES:
        lease.check()
        yield _nothing
        return
    lease.take()
    try:
        yield _beating(lease.renew, settings.heartbeat_seconds)
    finally:
        try:
            lease.give_back()
        except SQLAlchemyError as error:
            log.warning("idempotency key not given back, its lease ends by itself", reason=str(error))


def _nothing(_block: bytes) -> None:
    """There is no lease to keep."""


def _beating(renew: Callable[[], None], seconds: float) -> Callable[[bytes], None]:
    """``renew``, but not more often than every so many seconds."""
    renewed_at = time.monotonic()

    def beat(_block: bytes) -> None:
        nonlocal renewed_at
        if time.monotonic() - renewed_at >= seconds:
            renewed_at = time.monotonic()
            renew()

    return beat
