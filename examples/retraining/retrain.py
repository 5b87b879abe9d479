"""One round of retraining, for cron or CI: train, gate, add, put into production, try, or take back.

    python examples/retraining/retrain.py wine smoke.csv -- \
        python examples/train_wine.py out --add --better-than production

What stands behind `--` is yours: it trains, adds the version with `rowmill models add … --holdout …
--require …`, and prints NAME@VERSION as its last line, as that command does. `smoke.csv` has a few rows of
more than one kind; `looks_right` says what their predictions must be like: adapt it. Settings are those of
`rowmill`: ROWMILL_DATA_DIR and ROWMILL_DATABASE_URL of the stack, ROWMILL_URL where it listens.

Exit status: 0 the new version is in production; 6 it is not good enough, and production is what it was; 75
another round is running; anything else: it failed, and what was in production before is there again, unless
the last line says that just that failed. What somebody else puts into production meanwhile stays there.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

ALIAS = "production"
NOT_GOOD_ENOUGH = 6
ALIAS_MOVED = 7
BUSY = 75
SMOKE_SECONDS = 600
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
# the command line of the same environment, else the one that a shell would find
ROWMILL = shutil.which("rowmill", path=str(Path(sys.executable).parent)) or "rowmill"


class SmokeTestFailed(Exception):
    """The new version does not do in production what it should."""


def looks_right(result: Path) -> None:
    """Raise SmokeTestFailed if these predictions cannot be right."""
    predictions = pq.read_table(result, columns=["prediction"])["prediction"]
    if predictions.null_count or not len(predictions):
        raise SmokeTestFailed(f"{predictions.null_count} of {len(predictions)} rows have no prediction")
    if len(predictions) > 1 and len(pc.unique(predictions)) == 1:
        raise SmokeTestFailed(f"all {len(predictions)} rows are {predictions[0]}")


def run(*command: str) -> str:
    """What a command printed on stdout; CalledProcessError if it failed."""
    print("$", *command, file=sys.stderr, flush=True)
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def trained(command: list[str]) -> str:
    """Train, gate and add; the new version."""
    return run(*command).split()[-1]


def scored(model: str, smoke: Path, version: str) -> None:
    """Score the smoke file as a user would, by the model's plain name."""
    # the deadline is for a round that is killed: its job ends all the same
    options = ["-m", model, "--deadline", str(SMOKE_SECONDS), "--json"]
    job = json.loads(run(ROWMILL, "submit", str(smoke), *options))
    try:
        used = f"{job['model']['name']}@{job['model']['version']}"
        if used != version:
            raise SmokeTestFailed(f"{model} is scored by {used}, not by {version}")
        run(ROWMILL, "wait", job["id"], "--strict", "--timeout", str(SMOKE_SECONDS))
    except BaseException:  # also a signal: a job that goes on keeps its version from being retired
        subprocess.run([ROWMILL, "cancel", job["id"]], check=False)
        raise
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "smoke.parquet"
        run(ROWMILL, "get", job["id"], "-o", str(result))
        looks_right(result)


class Production(NamedTuple):
    """Versions of the model as they are before a round; None where there is none."""

    aliased: str | None  # that the alias points at
    meant: str | None  # by the plain name: without the alias the latest


def production(model: str) -> Production:
    """What is in production now."""
    aliased = meant = None
    for line in run(ROWMILL, "models", "ls", model, "--json").splitlines():
        version = json.loads(line)
        meant = f"{version['name']}@{version['version']}"  # the last one is the latest
        if ALIAS in version["aliases"]:
            aliased = meant
    return Production(aliased, aliased or meant)


def take_back(model: str, version: str, before: Production, why: str) -> None:
    """Production as it was, unless somebody has moved it meanwhile, and the version out of use."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if before.aliased:
        back = ["rollback", f"{model}@{ALIAS}"]
    elif before.meant:
        # without an alias the plain name would mean the new version, for as long as it is not retired
        back = ["alias", before.meant, ALIAS]
    else:
        back = ["unalias", f"{model}@{ALIAS}"]
    command = [ROWMILL, "models", *back, "--if", version, "--note", why]
    print("$", *command, file=sys.stderr, flush=True)
    if (status := subprocess.run(command, check=False).returncode) not in (0, ALIAS_MOVED):
        raise subprocess.CalledProcessError(status, command)
    if subprocess.run([ROWMILL, "models", "retire", version, "--note", why], check=False).returncode:
        print(f"{version} is not retired yet: retire it once no job uses it", file=sys.stderr)


def one_round(model: str, smoke: Path, command: list[str]) -> None:
    """Raises CalledProcessError or SmokeTestFailed once production is what it was."""
    before = production(model)
    version = trained(command)
    try:
        only = ["--if", before.aliased or "none"]
        run(ROWMILL, "models", "alias", version, ALIAS, *only, "--note", "retrained")
        scored(model, smoke, version)
    except BaseException as failed:  # also a signal: nothing untried is left in production
        why = str(failed) if isinstance(failed, SmokeTestFailed) else type(failed).__name__
        take_back(model, version, before, f"smoke test: {why}")
        raise


def alone(lock: Path, act: Callable[[], None]) -> int:
    """Run ``act`` unless another round holds the lock; the exit status."""
    # where anybody may write, a name that can be guessed may already be a link to somewhere
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another round is running ({lock})", file=sys.stderr)
            return BUSY
        try:
            act()
        except subprocess.CalledProcessError as failed:
            print(f"exit status {failed.returncode}: {' '.join(failed.cmd)}", file=sys.stderr)
            return int(failed.returncode) if failed.returncode == NOT_GOOD_ENOUGH else 1
        except SmokeTestFailed as failed:
            print(f"smoke test failed: {failed}", file=sys.stderr)
            return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="the name that the version is put into production of")
    parser.add_argument("smoke", type=Path, help="rows to try the new version with")
    parser.add_argument("command", nargs="+", help="trains, adds the version, and prints it last")
    given = parser.parse_args()
    if not given.smoke.exists():  # or the new version would be in production before that is noticed
        parser.error(f"there is no {given.smoke}")

    def stop(*_signal: Any) -> None:
        sys.exit(128 + signal.SIGTERM)

    for number in SIGNALS:
        signal.signal(number, stop)
    lock = Path(tempfile.gettempdir()) / f"rowmill-retrain-{given.model}.lock"
    return alone(lock, lambda: one_round(given.model, given.smoke, given.command))


if __name__ == "__main__":
    sys.exit(main())
