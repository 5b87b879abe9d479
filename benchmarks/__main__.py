"""`make bench`: runs what the command line asks for and prints Markdown."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks import fairness, mapped, memory, outage, scorers, small, speed
from benchmarks.contestants import (
    Task,
    image_loop,
    image_task,
    limit,
    pandas_loop,
    rowmill,
    table_task,
)
from benchmarks.front_door import beside, race, shadow
from benchmarks.machine import facts
from benchmarks.served import Served, idle_cpu_share, serving
from benchmarks.settings import Plan, parse

IDLE_SECONDS = 5.0
# Parts that ask a running stack and nothing else, in their order.
ON_STACK = {
    "small": small.measure,
    "fairness": fairness.measure,
    "outage": outage.measure,
    "predict": race.measure,
    "beside": beside.measure,
    "shadow": shadow.measure,
}


def main() -> None:
    """Run the parts of the plan in order."""
    plan = parse(sys.argv[1:])
    machine = facts()
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()), end="\n\n")
    found: dict[str, Any] = {"machine": machine, "command": " ".join(sys.argv[1:])}
    if {"speed", "images", *ON_STACK} & set(plan.parts):
        found |= _on_one_stack(plan)
    if "memory" in plan.parts:
        found["memory"] = [vars(peaks) for peaks in memory.measure(plan)]
    if "scorers" in plan.parts:
        found["scorers"] = scorers.measure(plan.scorer_rows, plan.rounds, write=not plan.is_quick)
    if "mapped" in plan.parts:
        found["mapped"] = mapped.measure(plan)
    if plan.json_file:
        plan.json_file.write_text(json.dumps(found, indent=2) + "\n")


def _on_one_stack(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with ExitStack() as open_things:
        served = None
        if "rowmill" in plan.contestants or {"images", *ON_STACK} & set(plan.parts):
            images = plan.warm_up_images if "images" in plan.parts else 0
            served = open_things.enter_context(serving(plan.folder, plan.warm_up_rows, images))
            found["idle_cpu_share"] = idle_cpu_share(served, IDLE_SECONDS)
            print(f"The idle stack takes {found['idle_cpu_share']:.1%} of a core.\n", flush=True)
        if "speed" in plan.parts:
            found["speed"] = _speed(plan, served)
        for part, measure in ON_STACK.items():
            if served and part in plan.parts:
                found[part] = measure(served, plan)
        if served and "images" in plan.parts:
            found["images"] = _images(plan, served)
    return found


def _speed(plan: Plan, served: Served | None) -> list[dict[str, Any]]:
    known: dict[str, speed.Contestant] = {"pandas": pandas_loop, "limit": limit}
    if served:
        known["rowmill"] = rowmill(served)
    contestants = {name: known[name] for name in plan.contestants}
    tasks = [
        table_task(plan.folder, model, kind, plan.rows) for model in plan.models for kind in plan.formats
    ]
    return [_measured(task, contestants, plan) for task in tasks]


def _images(plan: Plan, served: Served) -> list[dict[str, Any]]:
    contestants = {"loop": image_loop, "rowmill": rowmill(served)}
    tasks = [image_task(plan.folder, name, count) for name, count in plan.images.items()]
    return [_measured(task, contestants, plan) for task in tasks]


def _measured(task: Task, contestants: Mapping[str, speed.Contestant], plan: Plan) -> dict[str, Any]:
    runs = speed.measure(task, contestants, plan.rounds)
    print(f"\n{speed.table(task, runs)}", flush=True)
    return speed.record(task, runs)


if __name__ == "__main__":
    main()
