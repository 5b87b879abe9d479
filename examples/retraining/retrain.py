"""One round of retraining, for cron or CI: train, gate, add, put into production, try, or take back.

    python examples/retraining/retrain.py wine smoke.csv -- \
        python examples/train_wine.py out --add --better-than production

What stands behind `--` is yours: it trains, adds the version with `rowmill models add … --holdout …
--require …`, and prints NAME@VERSION as its last line, as that command does. `smoke.csv` has a few rows of
more than one kind; `looks_right` says what their predictions must be like: adapt it. Settings are those of
`rowmill`: ROWMILL_DATA_DIR and ROWMILL_DATABASE_URL of the stack, ROWMILL_URL where it listens.

Exit status: 0 the new version is in production; 6 it is not good enough, and production is what it was; 75
another round is running; anything else: it failed, and what was in production before is there again, unless
the last line says that just that failed.
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
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

ALIAS = "production"
NOT_GOOD_ENOUGH = 6
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
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "smoke.parquet"
        options = ["--strict", "--timeout", str(SMOKE_SECONDS), "--json", "-o", str(result)]
        job = json.loads(run(ROWMILL, "score", str(smoke), "-m", model, *options))
        used = f"{job['model']['name']}@{job['model']['version']}"
        if used != version:
            raise SmokeTestFailed(f"{model} was scored by {used}, not by {version}")
        looks_right(result)


def in_production(model: str) -> str | None:
    """The version that the alias points at, if it points at any."""
    for line in run(ROWMILL, "models", "ls", model, "--json").splitlines():
        version = json.loads(line)
        if ALIAS in version["aliases"]:
            return f"{version['name']}@{version['version']}"
    return None


def meant_by(model: str) -> str | None:
    """The version that the plain name means now: without an alias it is the latest."""
    shown = subprocess.run(
        [ROWMILL, "models", "show", model, "--json"], capture_output=True, text=True, check=False
    )
    if shown.returncode:
        return None  # there is no such model yet
    version = json.loads(shown.stdout)
    return f"{version['name']}@{version['version']}"


def take_back(model: str, version: str, before: str | None, earlier: str | None, why: str) -> None:
    """Production as it was, unless somebody has moved it meanwhile, and the version out of use."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if in_production(model) == version:
        if before is None and earlier is not None:
            # without an alias the plain name would mean the new version, for as long as it is not retired
            run(ROWMILL, "models", "alias", earlier, ALIAS, "--note", why)
        else:
            command = "rollback" if before else "unalias"
            run(ROWMILL, "models", command, f"{model}@{ALIAS}", "--note", why)
    if subprocess.run([ROWMILL, "models", "retire", version, "--note", why], check=False).returncode:
        print(f"{version} is not retired yet: retire it once no job uses it", file=sys.stderr)


def one_round(model: str, smoke: Path, command: list[str]) -> None:
    """Raises CalledProcessError or SmokeTestFailed once production is what it was."""
    earlier = meant_by(model)
    version = trained(command)
    before = in_production(model)
    try:
        run(ROWMILL, "models", "alias", version, ALIAS, "--note", "retrained")
        scored(model, smoke, version)
    except BaseException as failed:  # also a signal: nothing untried is left in production
        why = str(failed) if isinstance(failed, SmokeTestFailed) else type(failed).__name__
        take_back(model, version, before, earlier, f"smoke test: {why}")
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

    def stop(*_signal: Any) -> None:
        sys.exit(128 + signal.SIGTERM)

    for number in SIGNALS:
        signal.signal(number, stop)
    lock = Path(tempfile.gettempdir()) / f"rowmill-retrain-{given.model}.lock"
    return alone(lock, lambda: one_round(given.model, given.smoke, given.command))


if __name__ == "__main__":
    sys.exit(main())
