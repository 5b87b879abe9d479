"""What processes that share a large compiled forest take together: `python -m benchmarks mapped`.

A forest fitted to noise, whose arrays take about 1 GB, is added as `rowmill models add` does. Then processes
load it and score with it, first one and then eight, and what they take is added up: of a page that several
share each counts its part (PSS). Beside them, the same with the estimator unpickled.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import ExtraTreesClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.data import FEATURES, SEED
from benchmarks.settings import Plan
from models.adding import NewVersion
from rowmill.cli.registry_session import opened_registry

# With many classes an estimator takes only 2.4 times the memory of the compiled arrays; with two, 4 times.
CLASSES = 20
SAMPLE_ROWS = 2_000
SCORED_ROWS = 20_000
# Eight unpickled forests would not fit into most machines.
PROCESSES = {"compiled": (1, 2, 8), "unpickled": (1, 2)}
MEGABYTE = 10**6


def measure(plan: Plan) -> dict[str, Any]:
    """Print what adding the forest took, and the table."""
    rows, trees = (4_000, 40) if plan.is_quick else (100_000, 57)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="mapped-", dir=plan.folder) as name:
        folder = Path(name)
        found: dict[str, Any] = {
            step: _cost(folder, step, *map(str, sizes))
            for step, sizes in {"fit": (rows, trees), "add": ()}.items()
        }
        found["arrays_bytes"] = sum(path.stat().st_size for path in folder.rglob("scorer.arrays"))
        found["pickle_bytes"] = _pickle(folder).stat().st_size
        print(_head(found), flush=True)
        for count in PROCESSES["compiled"]:
            together = {
                kind: _together(folder, kind, count) for kind, counts in PROCESSES.items() if count in counts
            }
            found[f"{count} processes"] = together
            print(_line(count, together), flush=True)
    return found


def _head(found: Mapping[str, Any]) -> str:
    add = found["add"]
    return (
        f"A forest with {found['arrays_bytes'] / MEGABYTE:,.0f} MB of arrays, "
        f"{found['pickle_bytes'] / MEGABYTE:,.0f} MB as a pickle; `models add` took "
        f"{add['cpu_seconds']:.0f} s of a processor and {add['peak_bytes'] / MEGABYTE:,.0f} MB at most.\n\n"
        "| processes | compiled, MB together | unpickled, MB together |\n| --- | --- | --- |"
    )


def _line(count: int, together: Mapping[str, int]) -> str:
    cells = [
        f"{together[kind] / MEGABYTE:,.0f}" if kind in together else "not measured" for kind in PROCESSES
    ]
    return f"| {count} | {' | '.join(cells)} |"


def _cost(folder: Path, *step: str) -> dict[str, float]:
    """Seconds of processor time and peak memory of one step in a process of its own."""
    child = subprocess.Popen(_command(folder, *step), env=_environment(folder))
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"{step[0]} failed with the status {os.waitstatus_to_exitcode(status)}")
    return {"cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024}


def _together(folder: Path, kind: str, count: int) -> int:
    """Bytes that so many processes take after each has scored."""
    with ExitStack() as running:
        processes = [running.enter_context(_scoring(folder, kind)) for _ in range(count)]
        for process in processes:
            if _output(process).readline() != b"ready\n":
                raise RuntimeError("a process that was to score has died")
        return sum(_proportional_bytes(process.pid) for process in processes)


@contextmanager
def _scoring(folder: Path, kind: str) -> Iterator[subprocess.Popen[bytes]]:
    command = _command(folder, kind)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=_environment(folder), **pipes) as process:  # type: ignore[call-overload]
        yield process


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _proportional_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not tell proportional memory (PSS); Linux 4.14 or later does")


def _command(folder: Path, *step: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.mapped", str(folder), *step]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "ROWMILL_DATA_DIR": str(folder / "data"), "OMP_NUM_THREADS": "1"}


def main(folder: Path, step: str, *sizes: str) -> None:
    """One step, in a process of its own."""
    with threadpool_limits(1):
        match step:
            case "fit":
                _fit(folder, *map(int, sizes))
            case "add":
                _add(folder)
            case "compiled" | "unpickled":
                _score(folder if step == "unpickled" else None)


def _fit(folder: Path, rows: int, trees: int) -> None:
    generator = np.random.default_rng(SEED)
    forest = ExtraTreesClassifier(trees, max_features=1, random_state=0)
    forest.fit(_rows(rows), generator.integers(0, CLASSES, rows))
    joblib.dump(forest, _pickle(folder))
    _rows(SAMPLE_ROWS).to_parquet(folder / "sample.parquet")


def _add(folder: Path) -> None:
    with opened_registry() as registry:
        manifest = registry.add(
            NewVersion(name="forest", file=_pickle(folder), sample=folder / "sample.parquet")
        )
    if manifest.scorer is None or manifest.scorer.kind is None:
        raise RuntimeError(f"the forest was not compiled: {manifest.scorer}")


def _score(folder: Path | None) -> None:
    """With the pickle in ``folder``, or as a scoring process does; then wait, with the model in memory."""
    rows = _rows(SCORED_ROWS)
    if folder is None:
        with opened_registry() as registry:
            model: Any = registry.load("forest", 1)
        model.score(pa.Table.from_pandas(rows, preserve_index=False), confidence=True)
    else:
        model = joblib.load(_pickle(folder))
        model.predict_proba(rows)
    print("ready", flush=True)
    sys.stdin.read()


def _rows(count: int) -> pd.DataFrame:
    values = np.random.default_rng([SEED, count]).normal(size=(count, len(FEATURES)))
    return pd.DataFrame(values, columns=FEATURES)


def _pickle(folder: Path) -> Path:
    return folder / "forest.joblib"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
