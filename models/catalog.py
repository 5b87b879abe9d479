"""What references mean, remembered for as long as the registry does not change.

``POST /predict`` resolves a reference for each request, and three queries cost more than the prediction.
"""

from __future__ import annotations

import time

from models.manifest import Manifest
from models.registry import Registry
from models.routing import Route

# A process that dies between its commit and its mark leaves others with what they know, for so long at most.
FRESH_SECONDS = 2.0
MAX_REMEMBERED = 10_000


class Catalog:
    """The registry's answers, right from the first request after a change. Safe to share between threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str | None, str | None], Route] = {}
        self._as_of: tuple[int, float] = (-1, 0.0)

    def remembered(self, reference: str | None, default: str | None) -> Route | None:
        """What ``route`` would answer, if it need not ask the registry for it."""
        known, (changes, since) = self._known, self._as_of
        is_fresh = self._registry.changes() == changes and time.monotonic() - since <= FRESH_SECONDS
        return known.get((reference, default)) if is_fresh else None

    def resolve(self, reference: str | None, default: str | None) -> Manifest:
        """As ``Registry.resolve``, and raises what it raises."""
        return self.route(reference, default).manifest

    def route(self, reference: str | None, default: str | None) -> Route:
        """As ``Registry.route``, and raises what it raises."""
        changes, now = self._registry.changes(), time.monotonic()
        known_changes, since = self._as_of
        if changes != known_changes or now - since > FRESH_SECONDS or len(self._known) > MAX_REMEMBERED:
            # another dictionary: a thread that still fills the old one cannot spoil this one
            self._known, self._as_of = {}, (changes, now)
        known = self._known
        route = known.get((reference, default))
        if route is None:
            route = known[reference, default] = self._registry.route(reference, default)
        return route
