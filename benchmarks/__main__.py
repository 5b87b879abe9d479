"""`make bench`: runs what the command line asks for and prints Markdown."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import Any

from benchmarks import memory, small, speed
from benchmarks.contestants import Task, limit, pandas_loop, rowmill
from benchmarks.data import input_file
from benchmarks.fitting import model_file
from benchmarks.machine import facts
from benchmarks.served import Served, idle_cpu_share, serving
from benchmarks.settings import Plan, parse

IDLE_SECONDS = 5.0


def main() -> None:
    """Run the parts of the plan in order."""
    plan = parse(sys.argv[1:])
    machine = facts()
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()), end="\n\n")
    found: dict[str, Any] = {"machine": machine, "command": " ".join(sys.argv[1:])}
    if {"speed", "small"} & set(plan.parts):
        found |= _on_one_stack(plan)
    if "memory" in plan.parts:
        found["memory"] = [vars(peaks) for peaks in memory.measure(plan)]
    if plan.json_file:
        plan.json_file.write_text(json.dumps(found, indent=2) + "\n")


def _on_one_stack(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with ExitStack() as open_things:
        served = None
        if "rowmill" in plan.contestants or "small" in plan.parts:
            warm_up = input_file(plan.folder, "csv", plan.warm_up_rows)
            served = open_things.enter_context(serving(plan.folder, warm_up))
            found["idle_cpu_share"] = idle_cpu_share(served, IDLE_SECONDS)
            print(f"The idle stack takes {found['idle_cpu_share']:.1%} of a core.\n", flush=True)
        if "speed" in plan.parts:
            found["speed"] = _speed(plan, served)
        if served and "small" in plan.parts:
            found["small"] = small.measure(served, plan)
    return found


def _speed(plan: Plan, served: Served | None) -> list[dict[str, Any]]:
    known: dict[str, speed.Contestant] = {"pandas": pandas_loop, "limit": limit}
    if served:
        known["rowmill"] = rowmill(served)
    contestants = {name: known[name] for name in plan.contestants}
    records, tables = [], []
    for model in plan.models:
        for kind in plan.formats:
            files = (model_file(plan.folder, model), input_file(plan.folder, kind, plan.rows))
            task = Task(model, kind, plan.rows, *files, plan.folder / "results")
            runs = speed.measure(task, contestants, plan.rounds)
            records.append(speed.record(task, runs))
            tables.append(speed.table(task, runs))
            print(f"\n{tables[-1]}", flush=True)
    return records


if __name__ == "__main__":
    main()
