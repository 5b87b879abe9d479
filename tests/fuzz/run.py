"""Sends requests to an app in this process, and says which answers are faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.fuzz.requests import Maker, Sent

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# What a 5xx may say here, where there are no workers and no Redis: it is the server's state, and no fault.
HONEST = {"not_ready"}


@dataclass
class Outcome:
    """How many answers there were of which kind, and the requests whose answers are faults."""

    statuses: Counter[int] = field(default_factory=Counter)
    good: Counter[bytes] = field(default_factory=Counter)  # answers below 300, by path
    faults: list[str] = field(default_factory=list)


def fuzz(
    app: WSGIApplication,
    document: dict[str, Any],
    jobs: list[str],
    sensible: Sequence[Sent],
    *,
    seed: int,
    numbers: range,
    shown: Sequence[Mapping[str, str]] = ({},),
) -> Outcome:
    """Send the requests with these numbers; ``document`` says which addresses and options there are.

    ``shown`` are headers with a key or without, taken in turn.
    """
    options = sorted(
        {
            given["name"]
            for methods in document["paths"].values()
            for operation in methods.values()
            for given in operation.get("parameters", [])
            if given["in"] == "query" and given["name"] != "wait"  # nothing ends while one waits
        }
    )
    routes = {path: [method.upper() for method in methods] for path, methods in document["paths"].items()}
    more = {path: ["GET"] for path in ("/docs", "/openapi.json", "/nowhere", "/static/rowmill.css")}
    maker = Maker(seed, routes | more, options, jobs, sensible)
    outcome = Outcome()
    for number in numbers:
        made = maker.make(number)
        sent = replace(made, headers={**shown[number % len(shown)], **made.headers})
        status, body = ask(app, sent)
        outcome.statuses[status] += 1
        if status < 300:
            outcome.good[sent.path] += 1
        if reason := fault(sent, status, body):
            outcome.faults.append(f"seed {seed}, number {number}: {reason}: {sent}")
    return outcome


def ask(app: WSGIApplication, sent: Sent) -> tuple[int, bytes]:
    """Status and body of the answer."""
    said: list[str] = []

    def start_response(status: str, headers: Any, _error: Any = None) -> Any:
        said[:] = [status, *(f"{name}: {value}" for name, value in headers)]

    answer = app(sent.environ(), start_response)
    try:
        body = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    assert not any("\r" in line or "\n" in line for line in said), said
    return int(said[0].split()[0]), body


def fault(sent: Sent, status: int, body: bytes) -> str | None:
    """Why an answer is none that may be given; None for a good one."""
    if status < 400 or sent.method == "HEAD":
        return None
    if b"Traceback" in body or b"site-packages" in body:
        return "a traceback"
    try:
        problem = json.loads(body)
    except ValueError:
        return f"{status} is not JSON"
    if status >= 500 and problem.get("code", "") not in HONEST:
        return f"{status} {body[:300]!r}"
    if "error" in problem or "error_code" in problem:
        return None  # V2 and MLflow
    missing = {"code", "detail", "request_id", "status"} - problem.keys()
    return f"{status} without {sorted(missing)}" if missing else None
