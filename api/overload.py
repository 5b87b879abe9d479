"""Refusing new work before its file is read: the queue is as long as it may be."""

from __future__ import annotations

from flask import request

from api.context import caller, workshop
from jobs import reading
from jobs.errors import Problem
from jobs.lifecycle.submission import find_keyed


def refuse_when_full(key: str | None) -> None:
    """Raise ``Problem`` (``queue_full``) where no further job may begin to wait.

    A request that makes none passes: one that repeats what was accepted, and a dry run. Requests that arrive
    at the same moment may together pass the limit by their number.
    """
    shop = workshop()
    most = shop.settings.max_open_jobs
    if not most or request.args.get("dry_run", "0") not in ("0", "false", ""):
        return
    count = reading.count_open_jobs(shop.database)
    if count < most or (key and find_keyed(shop.database, caller().owner, key)):
        return
    raise Problem(
        "queue_full",
        f"{count} jobs have not ended yet, and no more than {most} may wait (setting max_open_jobs). "
        "Nothing was accepted; send it again later, as Retry-After says.",
    )
