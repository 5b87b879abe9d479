"""What can go wrong on one machine, each fault as a function that does it and, where need be, undoes it."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import redis
from sqlalchemy import create_engine, text

from base.broker import QUEUE, TICK_KEY, plain_redis_url
from rowmill.stack import Stack

PAUSES_SECONDS = (0.5, 1.5, 4.0)
LOST = (psutil.NoSuchProcess, ProcessLookupError, KeyError, redis.RedisError)


@dataclass
class Victim:
    """A stack that is hurt, and what the nemesis remembers of it."""

    stack: Stack
    chance: random.Random
    over: threading.Event
    dump: tuple[bytes | None, list[bytes]] = field(default_factory=lambda: (None, []))

    def pause(self) -> None:
        """As long as a fault lasts; cut short at the end."""
        self.over.wait(self.chance.choice(PAUSES_SECONDS))

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one of the stack's own processes."""
        os.kill(self.stack.pids[name], number)

    def child_of(self, name: str) -> psutil.Process:
        """One of the processes that a process of the stack started."""
        return self.chance.choice(psutil.Process(self.stack.pids[name]).children() or [psutil.Process(0)])

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        """A connection that gives up soon."""
        url = plain_redis_url(self.stack.settings.redis_url)
        client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def _stopped(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        with suppress(*LOST):
            process.resume()


def _kill_scoring_process(victim: Victim) -> None:
    victim.child_of("worker").kill()


def _kill_worker(victim: Victim) -> None:
    victim.kill("worker")


def _restart_worker(victim: Victim) -> None:
    victim.kill("worker", signal.SIGTERM)


def _kill_api(victim: Victim) -> None:
    victim.kill("api")


def _kill_api_process(victim: Victim) -> None:
    victim.child_of("api").kill()


def _kill_caretaker(victim: Victim) -> None:
    victim.kill("caretaker")


def _kill_redis(victim: Victim) -> None:
    victim.kill("redis")


def _kill_all(victim: Victim) -> None:
    for pid in list(victim.stack.pids.values()):
        os.kill(pid, signal.SIGKILL)


def _freeze_scoring_process(victim: Victim) -> None:
    with _stopped(victim.child_of("worker")):
        victim.pause()


def _freeze_worker(victim: Victim) -> None:
    with _stopped(psutil.Process(victim.stack.pids["worker"])):
        victim.pause()


def _freeze_api_process(victim: Victim) -> None:
    with _stopped(victim.child_of("api")):
        victim.pause()


def _freeze_caretaker(victim: Victim) -> None:
    with _stopped(psutil.Process(victim.stack.pids["caretaker"])):
        victim.pause()


def _freeze_redis(victim: Victim) -> None:
    with _stopped(psutil.Process(victim.stack.pids["redis"])):
        victim.pause()


def _wipe_redis(victim: Victim) -> None:
    with victim.redis() as client:
        client.flushall()


def _drop_the_queue(victim: Victim) -> None:
    with victim.redis() as client:
        client.delete(QUEUE)


def _drop_unacknowledged(victim: Victim) -> None:
    with victim.redis() as client:
        client.delete("unacked", "unacked_index")


def _dump_redis(victim: Victim) -> None:
    """Remember queue and tick now, and put an older memory of them back."""
    with victim.redis() as client:
        tick, queue = client.get(TICK_KEY), client.lrange(QUEUE, 0, -1)
        old_tick, old_queue = victim.dump
        victim.dump = (tick, queue)  # type: ignore[assignment]
        if old_tick is not None:
            client.set(TICK_KEY, old_tick)
            client.delete(QUEUE)
            if old_queue:
                client.rpush(QUEUE, *old_queue)


def _cut_connections(victim: Victim) -> None:
    with victim.redis() as client:
        client.client_kill_filter(_type="normal")


def _fill_redis(victim: Victim) -> None:
    with victim.redis() as client:
        client.config_set("maxmemory", 1)
        try:
            victim.pause()
        finally:
            client.config_set("maxmemory", 0)


def _end_database_sessions(victim: Victim) -> None:
    engine = create_engine(victim.stack.settings.database_url, isolation_level="AUTOCOMMIT")
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    engine.dispose()


Fault = Callable[[Victim], None]
FAULTS: dict[str, Fault] = {
    "scoring process killed": _kill_scoring_process,
    "worker killed": _kill_worker,
    "worker told to stop": _restart_worker,
    "API killed": _kill_api,
    "API process killed": _kill_api_process,
    "caretaker killed": _kill_caretaker,
    "Redis killed": _kill_redis,
    "everything killed": _kill_all,
    "scoring process frozen": _freeze_scoring_process,
    "worker frozen": _freeze_worker,
    "API process frozen": _freeze_api_process,
    "caretaker frozen": _freeze_caretaker,
    "Redis frozen": _freeze_redis,
    "Redis wiped": _wipe_redis,
    "queue dropped": _drop_the_queue,
    "unacknowledged messages dropped": _drop_unacknowledged,
    "Redis from an old dump": _dump_redis,
    "Redis connections cut": _cut_connections,
    "Redis out of memory": _fill_redis,
}
POSTGRES_FAULTS: dict[str, Fault] = {"database sessions ended": _end_database_sessions}


class Nemesis(threading.Thread):
    """Strikes every few seconds until told to stop; ``struck`` counts what it did."""

    def __init__(self, stack: Stack, seed: int, pause_seconds: float) -> None:
        super().__init__(name="nemesis", daemon=True)
        self.struck: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self._over = threading.Event()
        self._pause_seconds = pause_seconds
        self._victim = Victim(stack, random.Random(seed), self._over)
        postgres = stack.settings.database_url.startswith("postgresql")
        self._faults = FAULTS | POSTGRES_FAULTS if postgres else FAULTS

    def stop(self) -> None:
        """Let the stack be; what is frozen goes on."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Draw a fault, do it, and give the stack a moment."""
        while not self._over.wait(self._victim.chance.uniform(0.5, 1.5) * self._pause_seconds):
            name = self._victim.chance.choice(sorted(self._faults))
            try:
                self._faults[name](self._victim)
            except LOST:
                self.missed[name] += 1  # whom it was meant for is just being started again
            else:
                self.struck[name] += 1
