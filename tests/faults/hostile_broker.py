"""A broker in memory that a test can make lose, double, reorder, hold back and forget.

It stands in for the network boundary only: everything behind ``send`` is Redis and Celery in real life.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import redis

from base.broker import Broker


@dataclass(frozen=True)
class Message:
    """What a worker would be told."""

    task: str
    job_id: str
    chunk: int | None


@dataclass
class Memory:
    """All that a Redis holds, so that an old copy can be put back."""

    queue: list[Message] = field(default_factory=list)
    tick: int | None = None

    def copy(self) -> Memory:
        """As a dump would keep it."""
        return Memory(list(self.queue), self.tick)


class HostileBroker(Broker):
    """Takes messages and gives them in any order; ``down`` makes it refuse as an absent Redis does."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.down = False

    def send(self, task: str, job_id: str, chunk: int | None = None) -> bool:
        if self.down:
            return False
        self.memory.queue.append(Message(task, job_id, chunk))
        return True

    def read_tick(self) -> int | None:
        self._reach()
        return self.memory.tick

    def write_tick(self, number: int) -> None:
        self._reach()
        self.memory.tick = number

    def queue_length(self) -> int:
        self._reach()
        return len(self.memory.queue)

    def close(self) -> None:
        self.memory = Memory()

    def _reach(self) -> None:
        if self.down:
            raise redis.ConnectionError("refused")
