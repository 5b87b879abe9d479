"""A line that finds no room on the disk ends nothing of what it tells."""

from __future__ import annotations

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
