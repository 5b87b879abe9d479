"""Connections that break, and connections that go silent: the worker hears again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from rowmill.stack.redis_server import socket_path
from tests.transport.half_open import HalfOpen
from tests.transport.site import SECONDS, Site
from tests.waiting import wait_until

HALF_OPEN_SECONDS = 240  # about sixty are needed on an idle machine

Behind = Callable[..., tuple[Site, HalfOpen]]


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    """A site whose worker reaches its Redis through a proxy that can go silent."""
    with ExitStack() as stack:
        numbers = count()

        def make(**changes: Any) -> tuple[Site, HalfOpen]:
            folder = tmp_path / str(next(numbers))
            proxy = HalfOpen(socket_path(folder))
            site = Site(folder, proxy.url)
            stack.callback(proxy.close)
            stack.callback(site.close)
            site.start_worker(**changes)
            site.wait_for_workers()
            return site, proxy

        yield make


def hears(site: Site, name: str) -> bool:
    """Whether the worker ran a message of this name; sends one if none waits, for any may be lost."""
    if name in site.ended():
        return True
    if site.messages()[0] == 0:
        site.broker.send("run", name)
    return False


def test_a_worker_hears_again_after_each_break(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.start_worker()
        site.wait_for_workers()
        for _ in range(3):
            site.redis.kill()
            site.redis.start()
        wait_until(lambda: hears(site, "after restarts"), "the worker hears", SECONDS)
        for _ in range(3):
            site.redis.client.client_kill_filter(_type="normal", skipme=True)
            wait_until(
                lambda: site.redis.client.info("clients")["connected_clients"] > 1, "it is back", SECONDS
            )
        wait_until(lambda: hears(site, "after cuts"), "the worker hears", SECONDS)
        assert site.workers[0].poll() is None
    finally:
        site.close()


@pytest.mark.faults
@pytest.mark.timeout(HALF_OPEN_SECONDS + 120)
def test_a_worker_hears_again_when_its_connections_went_silent(behind: Behind) -> None:
    ours, proxy = behind()
    other, other_proxy = behind(socket_timeout=None, health_check_interval=None)
    for each in (proxy, other_proxy):
        each.silence()
    other.send("run", "a")
    wait_until(lambda: hears(ours, "a"), "the worker hears", HALF_OPEN_SECONDS)
    assert not other.ended()
