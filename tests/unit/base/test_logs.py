"""Lines that find no room on the disk end nothing of what they tell, and what libraries say is not lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BEATS = """
import threading
from sqlalchemy.exc import OperationalError
from base import logs
from jobs.heartbeat import Heartbeat

logs.configure("text", "INFO")
beats, third = [], threading.Event()

def renew():
    beats.append(1)
    if len(beats) == 3:
        third.set()
    raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

with Heartbeat(renew, seconds=0.01):
    print(third.wait(30))
"""


def test_a_heartbeat_goes_on_when_the_log_is_full() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", BEATS], stdout=subprocess.PIPE, stderr=full, check=False, text=True
        )
    assert done.stdout.split() == ["True"]


CELERY = """
from celery.utils.log import get_logger
from base import logs

logs.hear_libraries("json")
try:
    raise ConnectionError("gone")
except ConnectionError:
    get_logger("celery.worker.consumer.consumer").warning("connection to %s lost", "Redis", exc_info=True)
"""


def test_warnings_of_celery_are_lines_like_all_others() -> None:
    done = subprocess.run([sys.executable, "-c", CELERY], capture_output=True, check=True, text=True)
    line = json.loads(done.stderr)
    assert (line["level"], line["event"]) == ("warning", "connection to Redis lost")
    assert line["exception"][0]["exc_value"] == "gone"
