"""What a shadow does to those who wait for an answer: single predictions with and without a challenger."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from benchmarks.data import FEATURES
from benchmarks.fitting import model_file, sample_file
from benchmarks.front_door.load import Window, load, write_script
from benchmarks.served import Served
from benchmarks.settings import Plan
from models.adding import NewVersion
from models.registry import PRODUCTION, Registry

CONNECTIONS = (1, 8)
WINDOW_SECONDS = 5
# Each champion with another kind of model as its challenger.
CHALLENGERS = {"lr": "rf", "rf": "lr"}
# With nothing more counted for so long, the challengers have seen all that waited for them.
SETTLED_SECONDS = 1.0
USER = "benchmark"


def measure(served: Served, plan: Plan) -> list[dict[str, Any]]:
    """For each champion and number of connections, windows in turn without a shadow and with one."""
    print("\n**Single predictions with a shadow**\n")
    print("| model, challenger | connections | without: p50 ms | p99 ms | requests/s | ", end="")
    print("with: p50 ms | p99 ms | requests/s | copies scored |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    found = []
    for champion, challenger in CHALLENGERS.items():
        registry = Registry(served.database, served.stack.settings.data_dir / "models")
        registry.set_alias(champion, 1, PRODUCTION, USER)
        new = NewVersion(champion, model_file(plan.folder, challenger), sample=sample_file(plan.folder))
        traffic = Traffic(served, registry, champion, registry.add(new).version)
        found += [_in_turn(traffic, plan, count) for count in CONNECTIONS]
    return found


@dataclass(frozen=True)
class Traffic:
    """Single predictions of a champion, with or without the challenger."""

    served: Served
    registry: Registry
    champion: str
    challenger: int

    def window(self, script: Path, connections: int, *, is_shadowed: bool) -> Window:
        """One window of load; with a challenger it ends once that has seen all that waits for it."""
        url = f"{self.served.stack.url}/predict?model={self.champion}"
        if not is_shadowed:
            return load(url, script, connections, WINDOW_SECONDS)
        self.registry.shadow(self.champion, PRODUCTION, self.challenger, USER)
        seen = load(url, script, connections, WINDOW_SECONDS)
        self.registry.end_shadow(self.champion, PRODUCTION, USER)
        self._settle()
        return seen

    def copies(self) -> tuple[int, int]:
        """Rows that challengers have scored so far, and those that were dropped."""
        answer = httpx.get(f"{self.served.stack.url}/stats", timeout=60).raise_for_status()
        counts = [shadow["total"] for alias in answer.json()["aliases"] for shadow in alias["shadows"]]
        return sum(each["rows"] for each in counts), sum(each["dropped"] for each in counts)

    def _settle(self) -> None:
        seen, since = self.copies(), time.monotonic()
        while time.monotonic() - since < SETTLED_SECONDS:
            time.sleep(0.1)
            if (now := self.copies()) != seen:
                seen, since = now, time.monotonic()


def _in_turn(traffic: Traffic, plan: Plan, connections: int) -> dict[str, Any]:
    rows = np.round(np.random.default_rng(6).normal(size=(500, len(FEATURES))), 6)
    bodies = [json.dumps({"features": dict(zip(FEATURES, row, strict=True))}) for row in rows.tolist()]
    script = write_script(bodies, plan.folder / "shadow.lua")
    traffic.window(script, connections, is_shadowed=False)
    traffic.window(script, connections, is_shadowed=True)  # from now on the processes hold the challenger
    before = traffic.copies()
    without, beside = [], []
    for _ in range(plan.rounds):
        without.append(traffic.window(script, connections, is_shadowed=False))
        beside.append(traffic.window(script, connections, is_shadowed=True))
    scored, dropped = (now - then for now, then in zip(traffic.copies(), before, strict=True))
    names = f"{traffic.champion}, {CHALLENGERS[traffic.champion]}"
    share = scored / (scored + dropped)
    print(f"| {names} | {connections} | {_cells(without)} | {_cells(beside)} | {share:.1%} |", flush=True)
    return {
        "model": traffic.champion,
        "connections": connections,
        "without": [vars(window) for window in without],
        "with": [vars(window) for window in beside],
        "scored": scored,
        "dropped": dropped,
    }


def _cells(windows: Sequence[Window]) -> str:
    p50, p99, rate = (
        median(getattr(window, name) for window in windows)
        for name in ("median_ms", "p99_ms", "requests_per_second")
    )
    return f"{p50:.2f} | {p99:.1f} | {rate:,.0f}"
