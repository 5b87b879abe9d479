"""``python -m tests.fuzz [--requests 100000] [--seed N]``: on a server with a model and some jobs."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from api import create_app
from base.database import Database
from models.adding import NewVersion
from models.registry import Registry
from tests.builders import trained_wine
from tests.fuzz.run import fuzz

ROUND = 2000


def main() -> int:
    """Send the requests; 1 if any answer is a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"ROWMILL_DATA_DIR": name, "ROWMILL_LOG_LEVEL": "ERROR"}
        database = Database(f"sqlite:///{folder / 'rowmill.db'}")
        database.upgrade()
        file, sample = trained_wine(folder)
        Registry(database, folder / "models").add(NewVersion("wine", file, sample=sample))
        database.dispose()
        return run(sample.read_bytes(), given.seed, given.requests)


def run(rows: bytes, seed: int, count: int) -> int:
    """The rounds, with a line about each."""
    app = create_app()
    client = app.test_client()
    document = client.get("/openapi.json").get_json()
    faults = 0
    for start in range(0, count, ROUND):
        made = [client.post("/jobs?model=wine", data=rows).get_json() for _ in range(2)]
        began = time.monotonic()
        numbers = range(start, min(start + ROUND, count))
        outcome = fuzz(app, document, [job["id"] for job in made], seed=seed, numbers=numbers)
        faults += len(outcome.faults)
        for line in outcome.faults:
            print(line)
        pace = len(numbers) / (time.monotonic() - began)
        print(f"seed {seed}: {numbers.stop} sent, {faults} faults, {pace:.0f}/s, {dict(outcome.statuses)}")
    app.extensions["workshop"].close()
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
