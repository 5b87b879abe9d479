"""What Redis forgets, doubles, refuses or never answers."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from base.broker import QUEUE
from tests.chaos.victim import PAUSES_SECONDS, Missed, Victim
from tests.freezing import stopped


def _restart_empty(victim: Victim) -> None:
    victim.around.redis.restart_empty(victim.around.over, victim.chance.choice(PAUSES_SECONDS))


def _restart_from_old_dump(victim: Victim) -> None:
    victim.around.redis.restart_from_old_dump()


def _freeze(victim: Victim) -> None:
    with stopped(psutil.Process(victim.around.redis.pid)):
        victim.pause()


def _leave_half_open(victim: Victim) -> None:
    if not victim.around.redis.deafen():
        raise Missed


def _wipe(victim: Victim) -> None:
    with victim.around.redis.connect() as client:
        client.flushall()


def _drop(names: tuple[str, ...], victim: Victim) -> None:
    with victim.around.redis.connect() as client:
        if not client.delete(*names):
            raise Missed


def _drop_the_queue(victim: Victim) -> None:
    _drop((QUEUE,), victim)


def _drop_unacknowledged(victim: Victim) -> None:
    _drop(("unacked", "unacked_index"), victim)


def _lose_one(victim: Victim) -> None:
    with victim.around.redis.connect() as client:
        if client.lpop(QUEUE) is None:
            raise Missed


def _double(victim: Victim) -> None:
    with victim.around.redis.connect() as client:
        waiting = list(client.lrange(QUEUE, 0, -1))
        if not waiting:
            raise Missed
        client.rpush(QUEUE, *waiting)


def _cut_connections(victim: Victim) -> None:
    with victim.around.redis.connect() as client:
        if not client.client_kill_filter(_type="normal", skipme=True):
            raise Missed


def _fill(victim: Victim) -> None:
    with victim.around.redis.connect() as client:
        client.config_set("maxmemory", 1)
        try:
            victim.pause()
        finally:
            client.config_set("maxmemory", 0)


def _make_read_only(victim: Victim) -> None:
    """As after a fail-over: a replica of a server that is not there keeps its data and takes no writes."""
    with victim.around.redis.connect() as client:
        client.slaveof("127.0.0.1", "1")
        try:
            victim.pause()
        finally:
            client.slaveof()


FAULTS: dict[str, Callable[[Victim], None]] = {
    "Redis killed": _restart_empty,
    "Redis from an old dump": _restart_from_old_dump,
    "Redis frozen": _freeze,
    "Redis connections half open": _leave_half_open,
    "Redis connections cut": _cut_connections,
    "Redis wiped": _wipe,
    "Redis out of memory": _fill,
    "Redis read-only": _make_read_only,
    "queue dropped": _drop_the_queue,
    "unacknowledged messages dropped": _drop_unacknowledged,
    "message lost": _lose_one,
    "messages doubled": _double,
}
