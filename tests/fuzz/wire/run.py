"""Sends exchanges to a server, many at once, and says what is wrong with what was heard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.e2e.bare_server import Server, get, request
from tests.fuzz.requests import Sent
from tests.fuzz.sensible import about_tables
from tests.fuzz.wire import judging, strict
from tests.fuzz.wire.client import Heard, converse
from tests.fuzz.wire.exchanges import Exchange, Exchanges

CLIENTS = 16
GOOD_REQUESTS = 8  # enough for both processes


@dataclass
class Outcome:
    """How connections ended, as far as they were read; the exchanges with which something is wrong."""

    statuses: Counter[bytes] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def right_requests(model: str, rows: bytes) -> list[Sent]:
    """What exchanges are made of, before they are broken."""
    looks = ["/healthz", "/version", "/v2", "/jobs", f"/models/{model}", "/openapi.json", "/nowhere", "/ping"]
    files = ["/static/rowmill.css", "/jobs/01a1f8a0-b9a5-758e-a7a2-03a51904ed3d/result"]
    return [
        *about_tables(model, rows),
        *(Sent("GET", path.encode(), b"", b"") for path in looks + files),
        Sent("HEAD", b"/healthz", b"", b""),
        Sent("HEAD", b"/static/rowmill.css", b"", b""),
        Sent("OPTIONS", b"/predict", b"", b""),
        Sent("DELETE", b"/jobs/01a1f8a0-b9a5-758e-a7a2-03a51904ed3d", b"", b""),
        Sent("POST", b"/jobs", f"model={model}&dry_run=1".encode(), rows),
    ]


def talk(server: Server, exchanges: Exchanges, numbers: range) -> Outcome:
    """Have the exchanges with these numbers."""
    outcome = Outcome()
    with ThreadPoolExecutor(CLIENTS) as clients:
        heard = clients.map(partial(_have, server.port), map(exchanges.make, numbers))
        for number, (exchange, one) in zip(numbers, heard, strict=True):
            outcome.statuses.update(_statuses(bytes(one.received)))
            outcome.endings[strict.read(exchange.sent).ending.name] += 1
            for reason in judging.faults(exchange.sent, one):
                told = f"{exchange.end.name} {[piece[:2000] for piece in exchange.pieces]}"
                outcome.faults.append(
                    f"number {number}: {reason}: {told}\n  heard {bytes(one.received)[:2000]!r}"
                )
    return outcome


def _have(port: int, exchange: Exchange) -> tuple[Exchange, Heard]:
    return exchange, converse(port, exchange, partial(judging.is_enough, exchange.sent))


def _statuses(received: bytes) -> list[bytes]:
    return [line[9:12] for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def goes_on(server: Server, model: str, right: Sequence[Sent]) -> list[str]:
    """Why the server is not as it was; empty if it answers as before."""
    reasons = []
    predict = next(sent for sent in right if sent.path == b"/predict")
    length = f"Content-Length: {len(predict.body)}"
    for _ in range(GOOD_REQUESTS):
        status, _, body = server.ask(request("POST", "/predict", length, body=predict.body))
        if status != 200 or json.loads(body)["model"]["name"] != model:
            reasons.append(f"a right prediction is answered with {status} {body[:200]!r}")
        if server.ask(get("/healthz"))[0] != 200:
            reasons.append("/healthz is not answered")
    if (began := server.log().count("Booting worker")) != 2:
        reasons.append(f"{began} processes were started")
    if "Traceback" in server.log():
        reasons.append(f"a traceback in the log: {server.log()[-3000:]}")
    return reasons
