"""Processes that die, are told to stop, freeze, or have a wrong clock."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil

from tests.chaos.clock.sitecustomize import ROLES
from tests.chaos.victim import Victim
from tests.freezing import stopped

JUMPS_SECONDS = (-8 * 3600.0, -60.0, 60.0, 8 * 3600.0)


def _kill_child(name: str, victim: Victim) -> None:
    victim.child_of(name).kill()


def _kill(name: str, victim: Victim) -> None:
    victim.working(name)
    victim.kill(name)


def _stop_worker(numbers: tuple[int, ...], victim: Victim) -> None:
    """Each signal to the process that got the first one, as somebody who loses patience does."""
    pid = victim.working("worker")
    for position, number in enumerate(numbers):
        if position:
            victim.around.over.wait(0.5)
        with suppress(ProcessLookupError):  # it was fast
            os.kill(pid, number)


def _restart_api(victim: Victim) -> None:
    victim.kill("api", signal.SIGTERM)


def _kill_all(victim: Victim) -> None:
    victim.working("worker")
    for pid in list(victim.around.stack.pids.values()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _freeze_child(name: str, victim: Victim) -> None:
    with stopped(victim.child_of(name)):
        victim.pause()


def _freeze(name: str, victim: Victim) -> None:
    with stopped(psutil.Process(victim.pid(name))):
        victim.pause()


def _set_clock(role: str, victim: Victim) -> None:
    with victim.around.clocks.wrong(role, victim.chance.choice(JUMPS_SECONDS)):
        victim.pause()


WORKERS_CLOCK, CARETAKERS_CLOCK, APIS_CLOCK = ROLES
FAULTS: dict[str, Callable[[Victim], None]] = {
    "scoring process killed": partial(_kill_child, "worker"),
    "worker killed": partial(_kill, "worker"),
    "worker told to stop": partial(_stop_worker, (signal.SIGTERM,)),
    "worker told to quit": partial(_stop_worker, (signal.SIGQUIT,)),
    "worker told to stop twice": partial(_stop_worker, (signal.SIGTERM, signal.SIGTERM)),
    "API killed": partial(_kill, "api"),
    "API told to stop": _restart_api,
    "API process killed": partial(_kill_child, "api"),
    "caretaker killed": partial(_kill, "caretaker"),
    "everything killed": _kill_all,
    "scoring process frozen": partial(_freeze_child, "worker"),
    "worker frozen": partial(_freeze, "worker"),
    "API process frozen": partial(_freeze_child, "api"),
    "caretaker frozen": partial(_freeze, "caretaker"),
    "workers' clock wrong": partial(_set_clock, WORKERS_CLOCK),
    "caretaker's clock wrong": partial(_set_clock, CARETAKERS_CLOCK),
    "API's clock wrong": partial(_set_clock, APIS_CLOCK),
}
