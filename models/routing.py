"""Who answers a request: what a reference means now, with the versions that share its traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from models.manifest import Manifest
from models.traffic import Traffic, key_text


@dataclass(frozen=True)
class Route:
    """``manifest`` is what the reference means: it answers all that is not spread, jobs among it.

    ``alias`` is ``name@alias`` where the reference followed one that is split or shadowed. ``arms`` and
    ``shadow`` are the versions of ``traffic``.
    """

    manifest: Manifest
    alias: str = ""
    traffic: Traffic = field(default_factory=Traffic)
    arms: tuple[Manifest, ...] = ()
    shadow: Manifest | None = None

    def arm(self, place: float) -> Manifest:
        """Who answers at this place of the weights, laid end to end from 0 to 1."""
        sums = list(accumulate(arm.weight for arm in self.traffic.arms))
        return next(
            (manifest for manifest, up_to in zip(self.arms, sums, strict=True) if place < up_to / sums[-1]),
            self.arms[-1],
        )

    def challenger(self, answered: Manifest) -> Manifest | None:
        """Who scores a copy of what this version answered: it is compared with the champion only."""
        return self.shadow if answered.version == self.manifest.version else None

    def key_in(self, row: Any) -> str | None:
        """The key that stands in a row's sticky column; None if there is none."""
        column = self.traffic.sticky_by
        if column is None:
            return None
        if isinstance(row, dict):
            return key_text(row.get(column))
        names: Sequence[str] = self.manifest.signature.names
        return (
            key_text(row[names.index(column)]) if isinstance(row, list) and len(row) == len(names) else None
        )
