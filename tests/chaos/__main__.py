"""`make chaos` and `make soak`: faults for as long as you say, replayable by the seed that is printed."""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Plan, run

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = ("wine", "digits")


def main() -> None:
    """Run, print the report, and exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--pause", type=float, default=1.8, help="seconds between two faults, on average")
    parser.add_argument("--postgres", action="store_true", help="on a Postgres of its own instead of SQLite")
    parser.add_argument("--only", default="", metavar="FAULT,FAULT", help="draw these faults and no others")
    given = parser.parse_args()
    only = tuple(filter(None, given.only.split(",")))
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="trained-") as trained:
        for name in MODELS:
            script = EXAMPLES / f"train_{name}.py"
            subprocess.run([sys.executable, script, trained], check=True, stdout=subprocess.DEVNULL)
        report = run(Path(trained), Plan(given.seconds, given.seed, given.pause, given.postgres, only))
    print(report)
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
