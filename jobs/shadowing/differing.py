"""How a challenger's answer to a row differs from the champion's: other labels, or numbers some way apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from models.manifest import Label, Target, label_text

# Each target's numbers are counted apart, and there is not room for any number of them.
MAX_NUMBERS = 8


@dataclass(frozen=True)
class Change:
    """A challenger's number less the champion's, of the target in this place."""

    place: int
    target: str | None  # None if the model has one only
    difference: float


def agreed(targets: Sequence[Target], champion: Any, challenger: Any) -> bool | None:
    """Whether all labels are the same; None where numbers are predicted."""
    labels = [
        _same(one, other)
        for target, one, other in _pairs(targets, champion, challenger)
        if not _is_number(target)
    ]
    return all(labels) if labels else None


def changes(targets: Sequence[Target], champion: Any, challenger: Any) -> Iterator[Change]:
    """Of the first targets that are numbers; what is no finite number in either has no change to speak of."""
    pairs = enumerate(_pairs(targets, champion, challenger))
    numbers = [(place, pair) for place, pair in pairs if _is_number(pair[0])]
    for place, (target, one, other) in numbers[:MAX_NUMBERS]:
        if one is None or other is None:
            continue
        difference = other - one
        if math.isfinite(difference):
            yield Change(place, target.name if len(targets) > 1 else None, difference)


def _is_number(target: Target) -> bool:
    """Clusters and outliers have no list of classes either, but whole numbers that stand for them."""
    return target.classes is None and target.label_type == "number"


def _pairs(targets: Sequence[Target], champion: Any, challenger: Any) -> Iterator[tuple[Target, Any, Any]]:
    """For each target what both said, in the shapes of ``POST /predict``: bare if there is one."""
    for target in targets:
        if len(targets) == 1:
            yield target, champion, challenger
        else:
            yield target, champion[target.name], challenger[target.name]


def _same(one: Label | None, other: Label | None) -> bool:
    """1 and 1.0 are the same label, and so are true and "true"."""
    return one == other or (one is not None and other is not None and label_text(one) == label_text(other))
