"""Places where Celery's own behaviour is tried out: each a Redis with its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.transport.redis_server import RedisServer
from tests.transport.site import Site

Pair = Callable[..., tuple[Site, Site]]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two sites with a worker each: one under the product's settings, one under those with some put back.

    ``common`` differs from the product's settings for both, so that what is to be seen comes soon.
    """
    with ExitStack() as stack:

        def make(common: Mapping[str, Any] | None = None, **changes: Any) -> tuple[Site, Site]:
            ours, other = Site(tmp_path / "a"), Site(tmp_path / "b")
            for site in (ours, other):
                stack.callback(site.close)
            ours.start_worker(**(common or {}))
            other.start_worker(**(common or {}), **changes)
            for site in (ours, other):
                site.wait_for_workers()
            return ours, other

        yield make


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test alone, to be hurt."""
    server = RedisServer(tmp_path)
    yield server
    server.close()
