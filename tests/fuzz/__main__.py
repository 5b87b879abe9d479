"""``python -m tests.fuzz [--requests 100000] [--connections 20000] [--seed N]``.

The requests go to an app in this process, with models and some jobs; the connections to a gunicorn.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import joblib
from apiflask import APIFlask
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from api import create_app
from base.database import Database
from models.adding import NewVersion
from models.manifest import ImageSpec
from models.registry import Registry
from tests.builders import added_wine, trained_wine
from tests.e2e.bare_server import serving
from tests.fuzz.run import fuzz
from tests.fuzz.sensible import about_pictures, about_tables, about_texts
from tests.fuzz.wire.exchanges import Exchanges
from tests.fuzz.wire.processes import Processes
from tests.fuzz.wire.run import goes_on, right_requests, talk

ROUND = 2000
IMPATIENT = "tests.fuzz.wire.server_settings"
ADMIN_KEY = "a-key-of-an-admin-in-a-run-of-random-requests"
Shown = list[dict[str, str]]
# In turn where keys are asked for: no key, a wrong one, an unreadable login, the right one.
SHOWN: Shown = [
    {},
    {"HTTP_AUTHORIZATION": f"Bearer {ADMIN_KEY[::-1]}"},
    {"HTTP_AUTHORIZATION": "Basic \xff"},
    {"HTTP_AUTHORIZATION": f"Bearer {ADMIN_KEY}"},
]


def main() -> int:
    """Send everything; 1 if any answer is a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    faults = over_sockets(given.seed, given.connections) + in_process(given.seed, given.requests)
    return bool(faults)


def over_sockets(seed: int, count: int) -> int:
    """The number of faults, with a line about each round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wine = added_wine(folder)
        (folder / "served").mkdir()
        right = right_requests("wine", wine.sample.read_bytes())
        with serving(folder / "served", wine, IMPATIENT) as server:
            exchanges, faults = Exchanges(seed, right), 0
            talk(server, exchanges, range(count, count + 50))
            processes = Processes(server.pid)
            for start in range(0, count, ROUND):
                began, numbers = time.monotonic(), range(start, min(start + ROUND, count))
                outcome = talk(server, exchanges, numbers)
                found = outcome.faults + goes_on(server, "wine", right)
                faults += len(found)
                for line in found:
                    print(line)
                pace = len(numbers) / (time.monotonic() - began)
                print(f"seed {seed}: {numbers.stop} connections, {faults} faults, {pace:.0f}/s")
                print(f"  {dict(outcome.endings)}, answers {dict(outcome.statuses)}")
            processes.check()
    return faults


def in_process(seed: int, count: int) -> int:
    """The same of requests to an app in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"ROWMILL_DATA_DIR": name, "ROWMILL_LOG_LEVEL": "ERROR"}
        database = Database(f"sqlite:///{folder / 'rowmill.db'}")
        database.upgrade()
        file, sample = trained_wine(folder)
        registry = Registry(database, folder / "models")
        registry.add(NewVersion("wine", file, sample=sample))
        add_others(registry, folder)
        database.dispose()
        return run(sample.read_bytes(), seed, count)


def add_others(registry: Registry, folder: Path) -> None:
    """A model of pictures and one of texts."""
    pixels, digits = load_digits(return_X_y=True)
    joblib.dump(RandomForestClassifier(5, random_state=0).fit(pixels, digits), folder / "digits.joblib")
    registry.add(NewVersion("digits", folder / "digits.joblib", image=ImageSpec(width=8, height=8, high=16)))
    moods = make_pipeline(TfidfVectorizer(), LogisticRegression())
    joblib.dump(moods.fit(["a good day", "a bad day"] * 5, ["good", "bad"] * 5), folder / "moods.joblib")
    registry.add(NewVersion("moods", folder / "moods.joblib", text="text"))


def run(rows: bytes, seed: int, count: int) -> int:
    """The rounds, with a line about each; in every other one keys are asked for."""
    sensible = [*about_tables("wine", rows), *about_pictures("digits", (8, 8)), *about_texts("moods")]
    open_to_all = create_app()
    os.environ |= {"ROWMILL_REQUIRE_KEYS": "1", "ROWMILL_ADMIN_KEY": ADMIN_KEY}
    apps: list[tuple[APIFlask, Shown]] = [(open_to_all, [{}]), (create_app(), SHOWN)]
    document = open_to_all.test_client().get("/openapi.json").get_json()
    key, faults = {"X-API-Key": ADMIN_KEY}, 0
    for start in range(0, count, ROUND):
        app, shown = apps[start // ROUND % 2]
        client = app.test_client()
        made = [client.post("/jobs?model=wine", data=rows, headers=key).get_json() for _ in range(2)]
        began = time.monotonic()
        numbers = range(start, min(start + ROUND, count))
        jobs = [job["id"] for job in made]
        outcome = fuzz(app, document, jobs, sensible, seed=seed, numbers=numbers, shown=shown)
        faults += len(outcome.faults)
        for line in outcome.faults:
            print(line)
        pace = len(numbers) / (time.monotonic() - began)
        good = {path.decode(): outcome.good[path] for path in {sent.path for sent in sensible}}
        print(f"seed {seed}: {numbers.stop} sent, {faults} faults, {pace:.0f}/s, {dict(outcome.statuses)}")
        print(f"  below 300: {good}")
    for app, _ in apps:
        app.extensions["workshop"].close()
    return faults


if __name__ == "__main__":
    sys.exit(main())
