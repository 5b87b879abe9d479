"""All servers up at once, asked in turn: a second each, round after round, so that noise meets all alike."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd

from benchmarks.data import FEATURES
from benchmarks.fitting import model_file
from benchmarks.front_door.load import Window, load, write_script
from benchmarks.front_door.peers import PEERS, Peer, start
from benchmarks.served import Served
from benchmarks.settings import Plan

CONNECTIONS = (1, 8, 32)
MODELS = ("lr", "rf")
ROWS = 500
WINDOW_SECONDS = 1
READY_SECONDS = 120


class Contestant:
    """A running server, and the rows that it is asked, in its own form."""

    def __init__(self, name: str, url: str, bodies: Sequence[str], script: Path) -> None:
        self.name = name
        self.url = url
        self.bodies = bodies
        self.windows: dict[int, list[Window]] = {count: [] for count in CONNECTIONS}
        self._script = write_script(bodies, script)

    def ask(self, connections: int) -> None:
        """One window of load."""
        self.windows[connections].append(load(self.url, self._script, connections, WINDOW_SECONDS))


def measure(served: Served, plan: Plan) -> list[dict[str, Any]]:
    """One table for each model."""
    return [_race(served, plan, model) for model in plan.models if model in MODELS]


def _race(served: Served, plan: Plan, model: str) -> dict[str, Any]:
    file = model_file(plan.folder, model)
    rows = np.round(np.random.default_rng(5).normal(size=(ROWS, len(FEATURES))), 6)
    expected = joblib.load(file).predict_proba(pd.DataFrame(rows[:1], columns=FEATURES))[0]
    with ExitStack() as running:
        contestants = [_rowmill(served, plan, model, rows)]
        for number, peer in enumerate(PEERS):
            if peer.name in plan.peers:
                url = running.enter_context(_serving(peer, plan.folder, file, 21_100 + 10 * number))
                bodies = [json.dumps(peer.body(row)) for row in rows.tolist()]
                script = plan.folder / f"{peer.name}.lua"
                contestants.append(Contestant(peer.name, url + peer.path, bodies, script))
                _check(contestants[-1], peer, expected)
        for contestant in contestants:
            contestant.ask(CONNECTIONS[1])  # warm
            contestant.windows[CONNECTIONS[1]].clear()
        for _ in range(plan.rounds):
            for count in CONNECTIONS:
                for contestant in contestants:
                    contestant.ask(count)
    print(_table(model, contestants), flush=True)
    found = {each.name: {n: [vars(w) for w in ws] for n, ws in each.windows.items()} for each in contestants}
    return {"model": model, "windows": found}


def _rowmill(served: Served, plan: Plan, model: str, rows: np.ndarray) -> Contestant:
    bodies = [json.dumps({"features": dict(zip(FEATURES, row, strict=True))}) for row in rows.tolist()]
    url = f"{served.stack.url}/predict?model={model}"
    return Contestant("rowmill", url, bodies, plan.folder / "rowmill.lua")


def _check(contestant: Contestant, peer: Peer, expected: np.ndarray) -> None:
    """Wait until the server answers, and compare its first answer with the model's own."""
    deadline = time.monotonic() + READY_SECONDS
    while (answer := _first_answer(contestant)) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{peer.name} does not answer; its log says why")
        time.sleep(0.2)
    np.testing.assert_allclose(np.array(peer.probabilities(answer)), expected, atol=1e-6)


def _first_answer(contestant: Contestant) -> Any:
    headers = {"Content-Type": "application/json"}
    try:
        answer = httpx.post(contestant.url, content=contestant.bodies[0], headers=headers, timeout=10)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


@contextmanager
def _serving(peer: Peer, folder: Path, model: Path, port: int) -> Iterator[str]:
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    process = start(peer, folder, model, port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _table(model: str, contestants: Sequence[Contestant]) -> str:
    heads = [f"{count}: p50 ms | p99 ms | requests/s" for count in CONNECTIONS]
    lines = [
        f"\n**{model}, one row**, by the number of connections\n",
        f"| server | {' | '.join(heads)} | bad |",
        "| --- |" + " --- |" * (3 * len(CONNECTIONS) + 1),
    ]
    for contestant in contestants:
        cells = [_cells(contestant.windows[count]) for count in CONNECTIONS]
        bad = sum(window.bad for windows in contestant.windows.values() for window in windows)
        lines.append(f"| {contestant.name} | {' | '.join(cells)} | {bad} |")
    return "\n".join(lines)


def _cells(windows: Sequence[Window]) -> str:
    p50 = median(window.median_ms for window in windows)
    p99 = median(window.p99_ms for window in windows)
    rate = median(window.requests_per_second for window in windows)
    return f"{p50:.2f} | {p99:.1f} | {rate:,.0f}"
