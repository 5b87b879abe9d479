"""``/healthz`` tells that this process lives, ``/readyz`` whether what it needs is there, check by check."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import redis
from apiflask import APIBlueprint
from flask import Response, current_app, json, jsonify, request
from sqlalchemy.exc import SQLAlchemyError

from api import errors
from api.context import workshop
from jobs import reading
from jobs.errors import Problem

blueprint = APIBlueprint("health", __name__, tag="Health")

# A worker or a caretaker that was silent for this many of its own intervals counts as gone.
SILENT_INTERVALS = 3

# None if all is well, else what is wrong and what to do.
Check = Callable[[], str | None]


@blueprint.get("/healthz")
@blueprint.get("/health", endpoint="health")
@blueprint.doc(summary="Is this process alive?", responses=[200])
def healthz() -> Response:
    """`model_loaded` tells whether there is a model to predict with; it is loaded when it is first used."""
    answer = {
        "status": "ok",
        "model_loaded": _has_model(),
        "version": current_app.version,  # type: ignore[attr-defined]  # APIFlask has it
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _fresh(jsonify(answer))


@blueprint.get("/readyz")
@blueprint.doc(
    summary="Can this process do its work?",
    responses={200: "All checks passed", 503: "At least one check failed; `checks` says which"},
    extensions={
        "parameters": [
            {
                "name": "for",
                "in": "query",
                "required": False,
                "schema": {"type": "string", "enum": ["jobs"]},
                "description": "`jobs`: would a job that is submitted now be run?",
            }
        ]
    },
)
def readyz() -> Response:
    """Database and data folder; with `?for=jobs` also Redis, workers, the caretaker and room on the disk."""
    purpose = request.args.get("for")
    if purpose not in (None, "jobs"):
        raise Problem("bad_option", f"for can be jobs only, not {purpose[:100]!r}.")
    checks: dict[str, Check] = {"database": _database, "data_folder": _data_folder}
    if purpose == "jobs":
        checks |= {"redis": _redis, "workers": _workers, "caretaker": _caretaker, "disk": _disk}
    found = {name: check() for name, check in checks.items()}
    failed = {name: text for name, text in found.items() if text is not None}
    results = {name: {"ok": text is None, "detail": text} for name, text in found.items()}
    if not failed:
        return _fresh(jsonify({"status": "ready", "checks": results}))
    text = " ".join(f"{name}: {text}" for name, text in failed.items())
    entries = [{"code": name, "detail": text} for name, text in failed.items()]
    return _fresh(_with(errors.problem(503, "not_ready", text, entries), {"checks": results}))


def trouble() -> str | None:
    """Why this process cannot predict now; None if it can."""
    return _database() or _data_folder()


def _fresh(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _with(answer: Response, more: dict[str, Any]) -> Response:
    answer.set_data(json.dumps(json.loads(answer.get_data()) | more) + "\n")
    return answer


def _has_model() -> bool:
    try:
        return not workshop().registry.is_empty()
    except (
        SQLAlchemyError
    ):  # /readyz tells what is wrong with the database; the process is alive all the same
        return False


def _database() -> str | None:
    try:
        reading.last_tick(workshop().database)
    except SQLAlchemyError as error:
        return f"The database does not answer ({_first_line(error)}); `rowmill up` makes its tables."
    return None


def _data_folder() -> str | None:
    files = workshop().files
    try:
        with files.draft() as path:
            path.write_bytes(b"")
    except OSError as error:
        return f"{files.root} cannot be written to ({error.strerror})."
    return None


def _redis() -> str | None:
    try:
        workshop().broker.read_tick()
    except (redis.RedisError, OSError) as error:
        return f"Redis does not answer ({_first_line(error)}); jobs wait until it does."
    return None


def _workers() -> str | None:
    shop = workshop()
    silent = SILENT_INTERVALS * shop.settings.heartbeat_seconds
    try:
        count = reading.count_live_workers(shop.database, silent)
    except SQLAlchemyError:
        return "Not known while the database does not answer."
    return (
        None
        if count
        else f"No worker was seen within {silent:g} s; start one with `celery -A workers worker`."
    )


def _caretaker() -> str | None:
    shop = workshop()
    silent = SILENT_INTERVALS * shop.settings.caretaker_seconds
    try:
        ago = reading.last_tick(shop.database)
    except SQLAlchemyError:
        return "Not known while the database does not answer."
    if ago is None or ago > silent:
        seen = "was never at work" if ago is None else f"was last at work {ago:.0f} s ago"
        return f"The caretaker {seen}; start it with `python -m workers.caretaker`."
    return None


def _disk() -> str | None:
    shop = workshop()
    least = shop.settings.min_free_bytes
    try:
        free = shop.files.free_bytes()
    except OSError as error:
        return f"Free space of {shop.files.root} cannot be read ({error.strerror})."
    if free < least:
        return (
            f"disk_low: {free >> 20} MiB are free in {shop.files.root}, less than the {least >> 20} MiB kept "
            "free; uploads are refused, and work that finds no room waits. Free some space, or delete jobs."
        )
    return None


def _first_line(error: BaseException) -> str:
    reason = getattr(error, "orig", None) or error
    return (str(reason).splitlines() or [type(reason).__name__])[0][:200]
