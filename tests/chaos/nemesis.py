"""Who strikes: draws a fault every few seconds, does it, and counts."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

import psutil
import redis
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos import process_faults, redis_faults, store_faults
from tests.chaos.victim import Missed, Surroundings, Victim

# Whom a fault was meant for is just being started again, or struck by another nemesis.
LOST = (
    Missed,
    psutil.NoSuchProcess,
    ProcessLookupError,
    FileNotFoundError,
    redis.RedisError,
    SQLAlchemyError,
)
# How likely a fault is, against 1. Those that strike a chunk at work are the point. A worker that starts anew
# stands still for ten seconds on a busy machine, and one that was told to quit for half a minute: if that
# happened as often as all else, there would be no work to strike. Changed bytes end a job.
WEIGHTS = {
    "scoring process killed": 6.0,
    "scoring process frozen": 4.0,
    "worker killed": 0.4,
    "worker told to stop": 0.4,
    "worker told to quit": 0.2,
    "worker told to stop twice": 0.2,
    "everything killed": 0.3,
    "Redis connections half open": 0.15,
    "byte of a part flipped": 0.5,
    "part cut short": 0.5,
    "byte of an input flipped": 0.5,
    "input cut short": 0.5,
}
# After a miss another fault is drawn soon.
MISSED_PAUSE_SECONDS = 0.1


class Nemesis(threading.Thread):
    """Strikes every few seconds until the surroundings are over; ``struck`` counts what it did.

    Several may strike at a time. What one draws follows from its seed; ``only`` names faults, if not all.
    """

    def __init__(
        self, around: Surroundings, seed: int, pause_seconds: float, only: Sequence[str] = ()
    ) -> None:
        super().__init__(name=f"nemesis-{seed}", daemon=True)
        self.struck: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.log: list[str] = []
        self.broken: list[str] = []
        self._around = around
        self._pause_seconds = pause_seconds
        self._victim = Victim(around, random.Random(seed))
        self._faults = process_faults.FAULTS | redis_faults.FAULTS | store_faults.FAULTS
        if around.disk.is_own:
            self._faults |= store_faults.OWN_DISK_FAULTS
        if around.postgres:
            self._faults |= store_faults.POSTGRES_FAULTS
        if only:
            self._faults = {name: self._faults[name] for name in only}

    def run(self) -> None:
        """Draw a fault, do it, and give the stack a moment."""
        pause = self._pause_seconds
        while not self._around.over.wait(self._victim.chance.uniform(0.5, 1.5) * pause):
            name = self._draw()
            pause = self._pause_seconds if self._strike(name) else MISSED_PAUSE_SECONDS

    def _draw(self) -> str:
        names = sorted(self._faults)
        weights = [WEIGHTS.get(name, 1.0) for name in names]
        return self._victim.chance.choices(names, weights)[0]

    def _strike(self, name: str) -> bool:
        began = time.time()
        try:
            self._faults[name](self._victim)
        except LOST:
            self.missed[name] += 1
            return False
        except BaseException as error:
            self.broken.append(f"the fault {name!r} could not be done: {error!r}")
            raise
        self.struck[name] += 1
        self.log.append(f"{began:.3f} to {time.time():.3f} {name}")
        return True
