"""Who strikes: draws a fault every few seconds, does it, and counts."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

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
# After a miss another fault is drawn soon.
MISSED_PAUSE_SECONDS = 0.1


class Nemesis(threading.Thread):
    """Strikes every few seconds until the surroundings are over; ``struck`` counts what it did.

    Several may strike at a time. What one draws follows from its seed.
    """

    def __init__(self, around: Surroundings, seed: int, pause_seconds: float) -> None:
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

    def run(self) -> None:
        """Draw a fault, do it, and give the stack a moment."""
        pause = self._pause_seconds
        while not self._around.over.wait(self._victim.chance.uniform(0.5, 1.5) * pause):
            name = self._victim.chance.choice(sorted(self._faults))
            pause = self._pause_seconds if self._strike(name) else MISSED_PAUSE_SECONDS

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
