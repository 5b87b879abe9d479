"""What references mean, remembered for as long as the registry does not change.

``POST /predict`` resolves a reference for each request, and three queries cost more than the prediction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from base.remembered import Remembered
from models.manifest import Manifest
from models.registry import Registry
from models.routing import Route

# A process that dies between its commit and its mark leaves others with what they know: for the shorter time
# if a reference is in use, since it is then looked up again in the background, else for the longer one.
RENEW_SECONDS = 2.0
FORGET_SECONDS = 10.0
MAX_REMEMBERED = 1_000


class Catalog:
    """The registry's answers, right from the first request after a change. Safe to share between threads."""

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._routes: Remembered[Route] = Remembered(RENEW_SECONDS, FORGET_SECONDS, MAX_REMEMBERED, clock)

    def remembered(self, reference: str | None, default: str | None) -> Route | None:
        """What ``route`` would answer, if it need not ask the registry for it."""
        return self._routes.known((self._registry.changes(), reference, default))

    def resolve(self, reference: str | None, default: str | None) -> Manifest:
        """As ``Registry.resolve``, and raises what it raises."""
        return self.route(reference, default).manifest

    def route(self, reference: str | None, default: str | None) -> Route:
        """As ``Registry.route``, and raises what it raises."""
        # the changes come first: what is found out while there is one more is not taken for what follows it
        key = (self._registry.changes(), reference, default)
        return self._routes.find(key, partial(self._registry.route, reference, default))
