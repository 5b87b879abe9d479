"""A Celery app under the product's settings, of which a test may put single ones back; its tasks leave notes.

A task appends "<name> starts" and "<name> ends" to a file, so that what ran can be told without any broker.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.app.defaults import DEFAULTS

import celeryconfig

FOLDER = Path(os.environ["TRANSPORT_FOLDER"])
# What differs from celeryconfig.py; null stands for Celery's default.
CHANGES: dict[str, Any] = json.loads(os.environ["TRANSPORT_CHANGES"])

# names of modules and classes that celeryconfig imports are none of Celery's settings
settings = {
    name: value for name, value in vars(celeryconfig).items() if name in DEFAULTS and name != "imports"
}
options = settings["broker_transport_options"]
for name, value in CHANGES.items():
    place = options if name in options else settings
    if value is None:
        del place[name]
    else:
        place[name] = value

app = Celery("small", set_as_current=False)
app.conf.update(settings)


def note(line: str) -> None:
    """Append a line, in one write: several processes do so."""
    with (FOLDER / "notes").open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


@signals.worker_ready.connect
def ready(**_kwargs: object) -> None:
    """Tell the test that messages are taken from now on."""
    note("worker ready")


@app.task(name="run")
def run(v: int, job_id: str) -> None:
    """End at once."""
    note(f"{job_id} starts")
    note(f"{job_id} ends")


@app.task(name="wait")
def wait(v: int, job_id: str) -> None:
    """End when the test opens the gate."""
    note(f"{job_id} starts")
    while not (FOLDER / "gate").exists():
        time.sleep(0.02)
    note(f"{job_id} ends")


@app.task(name="die_once")
def die_once(v: int, job_id: str) -> None:
    """Kill the process that runs this, the first time."""
    note(f"{job_id} starts")
    marker = FOLDER / "died"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    note(f"{job_id} ends")
