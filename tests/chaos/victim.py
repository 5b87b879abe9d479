"""All that a fault may reach: a stack, what it stands on, and what was done to it so far."""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import dataclass, field

import psutil

from base.database import Database
from rowmill.stack import Stack
from tests.chaos.clocks import Clocks
from tests.chaos.postgres_server import PostgresServer
from tests.chaos.redis_server import RedisServer
from tests.chaos.small_disk import SmallDisk

FORKING = ("worker", "api")
PAUSES_SECONDS = (0.5, 1.5, 4.0)


class Missed(Exception):
    """There was nothing to hurt in this way at this moment."""


@dataclass(frozen=True)
class Surroundings:
    """A running stack and what it stands on; ``postgres`` is None on SQLite."""

    stack: Stack
    redis: RedisServer
    postgres: PostgresServer | None
    disk: SmallDisk
    clocks: Clocks
    database: Database
    over: threading.Event = field(default_factory=threading.Event)
    """Set when no fault may last any longer."""
    hurt: dict[str, str] = field(default_factory=dict)
    """Jobs of whose bytes some were changed, and which ones."""


@dataclass(frozen=True)
class Victim:
    """The surroundings as one nemesis sees them, with its own dice."""

    around: Surroundings
    chance: random.Random

    def pause(self) -> None:
        """As long as a fault lasts; cut short at the end."""
        self.around.over.wait(self.chance.choice(PAUSES_SECONDS))

    def pid(self, name: str) -> int:
        """One of the stack's own processes. Raises ``Missed`` while it waits for its restart."""
        try:
            return self.around.stack.pids[name]
        except KeyError:
            raise Missed from None

    def working(self, name: str) -> int:
        """The same. Raises ``Missed`` also while its own processes are not there yet."""
        if name in FORKING:
            self.child_of(name)
        return self.pid(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one of the stack's own processes."""
        os.kill(self.pid(name), number)

    def child_of(self, name: str) -> psutil.Process:
        """One of the processes that a process of the stack started."""
        children = psutil.Process(self.pid(name)).children()
        if not children:
            raise Missed
        return self.chance.choice(children)
