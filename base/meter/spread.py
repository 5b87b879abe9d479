"""Names of series that are no routes: what the versions that share an alias's requests did for it.

The same requests are counted under their route too, so these are never added to routes. In a series of
``shadow`` a hit is an answer like the champion's, a miss another one.
"""

from __future__ import annotations

from typing import Literal, cast

# Requests that an arm answered; rows that a challenger scored; rows that it was not given, for want of room.
Kind = Literal["split", "shadow", "dropped"]
_KINDS = ("split", "shadow", "dropped")


def series(kind: Kind, alias: str) -> str:
    """What stands in a route's place; ``alias`` is ``name@alias``."""
    return f"{kind} {alias}"


def parts(route: str) -> tuple[Kind, str] | None:
    """The opposite of ``series``; None for a route, which begins with a method in capitals."""
    kind, _, alias = route.partition(" ")
    return (cast(Kind, kind), alias) if kind in _KINDS and alias else None
