"""Speed: every model on every format, the contestants in turn (A B C A B C …): noise meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.answers import compare
from benchmarks.contestants import Run, Task

Contestant = Callable[[Task], Run]
Runs = dict[str, list[Run]]

# At least this share of the limit's rate, ahead of the pandas loop, at most 1.3 times the image loop's time.
GOALS = {
    "scoring / limit": 0.8,
    "whole / limit": 0.6,
    "whole / pandas": 1.0,
    "scoring / loop": 1 / 1.3,
    "whole / loop": 1 / 1.3,
}


def measure(task: Task, contestants: Mapping[str, Contestant], rounds: int) -> Runs:
    """Run all contestants ``rounds`` times in turn, and check that they agree."""
    runs: Runs = {name: [] for name in contestants}
    for number in range(rounds):
        for name, contestant in contestants.items():
            run = contestant(task)
            runs[name].append(run)
            print(f"  {task.name} round {number + 1}: {name} {run.seconds:.2f} s", flush=True)
    first, *others = contestants
    for name in others:
        largest = compare(task.output(first), task.output(name), task.key, task.keys)
        print(f"  {task.name}: {name} answers as {first} does (labels equal, numbers within {largest:.1e})")
    return runs


def ratios(runs: Runs) -> dict[str, float]:
    """Rowmill's rates over those of the baselines: above 1 is faster."""
    found = {}
    for name in ("limit", "loop"):
        if {"rowmill", name} <= runs.keys():
            found[f"scoring / {name}"] = _phase(runs[name]) / _phase(runs["rowmill"])
            found[f"whole / {name}"] = _whole(runs[name]) / _whole(runs["rowmill"])
    if {"rowmill", "pandas"} <= runs.keys():
        found["whole / pandas"] = _whole(runs["pandas"]) / _whole(runs["rowmill"])
    return found


def table(task: Task, runs: Runs) -> str:
    """The figures of one task as a Markdown table."""
    lines = [
        f"**{task.name}, {task.rows:,} rows** ({task.input_file.stat().st_size / 1e6:,.0f} MB)",
        "",
        "| contestant | whole s (min-max) | rows/s | CPU s | scoring s (min-max) | scoring rows/s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, results in runs.items():
        whole = [run.seconds for run in results]
        cells = [name, _spread(whole), f"{task.rows / median(whole):,.0f}"]
        cells.append(f"{median(run.cpu_seconds for run in results):.2f}")
        phases = [run.phase_seconds for run in results if run.phase_seconds is not None]
        cells += [_spread(phases), f"{task.rows / median(phases):,.0f}"] if phases else ["-", "-"]
        lines.append(f"| {' | '.join(cells)} |")
    if "rowmill" in runs:
        lines += ["", f"Rowmill's steps, s: {_steps(runs['rowmill'])}"]
    lines += ["", f"Ratios of rates: {_judged(ratios(runs))}"]
    return "\n".join(lines) + "\n"


def record(task: Task, runs: Runs) -> dict[str, Any]:
    """The same for a JSON file, with every run."""
    return {
        "task": task.name,
        "rows": task.rows,
        "ratios": ratios(runs),
        "runs": {name: [vars(run) for run in results] for name, results in runs.items()},
    }


def _phase(runs: Sequence[Run]) -> float:
    return median(run.phase_seconds for run in runs if run.phase_seconds is not None)


def _whole(runs: Sequence[Run]) -> float:
    return median(run.seconds for run in runs)


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _steps(runs: Sequence[Run]) -> str:
    return ", ".join(f"{name} {median(run.steps[name] for run in runs):.2f}" for name in runs[0].steps)


def _judged(found: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {value:.2f} ({'meets' if value >= GOALS[name] else 'MISSES'} {GOALS[name]:.2g})"
        for name, value in found.items()
    )
