"""What references mean, remembered for as long as the registry does not change.

``POST /predict`` resolves a reference for each request, and three queries cost more than the prediction.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from models.manifest import Manifest
from models.registry import Registry
from models.routing import Route

# A process that dies between its commit and its mark leaves others with what they know, for so long at most.
FRESH_SECONDS = 2.0
MAX_REMEMBERED = 10_000


class _Memory(NamedTuple):
    """What references mean as of a number of changes, found out from a moment on."""

    known: dict[tuple[str | None, str | None], Route]
    changes: int
    since: float


class Catalog:
    """The registry's answers, right from the first request after a change. Safe to share between threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # replaced as a whole, so that nobody takes what was known before a change for what is known after it
        self._memory = _Memory({}, -1, 0.0)

    def remembered(self, reference: str | None, default: str | None) -> Route | None:
        """What ``route`` would answer, if it need not ask the registry for it."""
        memory = self._memory
        is_fresh = (
            self._registry.changes() == memory.changes and time.monotonic() - memory.since <= FRESH_SECONDS
        )
        return memory.known.get((reference, default)) if is_fresh else None

    def resolve(self, reference: str | None, default: str | None) -> Manifest:
        """As ``Registry.resolve``, and raises what it raises."""
        return self.route(reference, default).manifest

    def route(self, reference: str | None, default: str | None) -> Route:
        """As ``Registry.route``, and raises what it raises."""
        changes, now = self._registry.changes(), time.monotonic()
        memory = self._memory
        is_old = changes != memory.changes or now - memory.since > FRESH_SECONDS
        if is_old or len(memory.known) > MAX_REMEMBERED:
            # another dictionary: a thread that still fills the old one cannot spoil this one
            memory = self._memory = _Memory({}, changes, now)
        known = memory.known
        route = known.get((reference, default))
        if route is None:
            route = known[reference, default] = self._registry.route(reference, default)
        return route
