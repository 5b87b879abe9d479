"""Names of series that are no routes: what the versions that share an alias's requests did for it.

The same requests are counted under their route too, so these are never added to routes. In a series of
``shadow`` a hit is an answer with the champion's labels, a miss another one; one of ``change`` has the
differences between the numbers of both, of one target.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

# Requests that an arm answered; rows that a challenger scored; rows that it was not given, for want of room;
# and how far its numbers were from the champion's.
Kind = Literal["split", "shadow", "dropped", "change"]
_KINDS = ("split", "shadow", "dropped", "change")
# What of a target's name has room.
_TARGET_BYTES = 60


class Part(NamedTuple):
    """What a series is of; ``place`` and ``target`` tell the targets of a model with several apart."""

    kind: Kind
    alias: str  # name@alias
    place: int
    target: str | None


def series(kind: Kind, alias: str, place: int = 0, target: str | None = None) -> str:
    """What stands in a route's place; ``alias`` is ``name@alias``, ``place`` the target's among all."""
    if target is None:
        return f"{kind} {alias}"
    name = " ".join(target.split()).encode()[:_TARGET_BYTES].decode(errors="ignore")
    return f"{kind} {alias} {place} {name}"


def parts(route: str) -> Part | None:
    """The opposite of ``series``; None for a route, which begins with a method in capitals."""
    kind, _, of = route.partition(" ")
    alias, _, more = of.partition(" ")
    if kind not in _KINDS or not alias:
        return None
    place, _, target = more.partition(" ")
    return Part(cast(Kind, kind), alias, int(place or 0), target if more else None)
