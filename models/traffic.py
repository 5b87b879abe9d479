"""How the single predictions of an alias are spread: over arms by weight, and in copy to a challenger.

Pure: what an alias's traffic is stands in ``registry/traffic``, who answers a request in ``routing``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from models.errors import ModelError
from models.manifest import Manifest

MAX_ARMS = 20


@dataclass(frozen=True)
class Arm:
    """A version, and its part of the requests relative to the other arms."""

    version: int
    weight: float


@dataclass(frozen=True)
class Traffic:
    """Of one alias. Without arms its version answers everything; ``shadow`` scores copies and answers nobody.

    ``sticky_by`` is the column whose value decides which arm a request without a key gets.
    """

    arms: tuple[Arm, ...] = ()
    sticky_by: str | None = None
    shadow: int | None = None

    def __bool__(self) -> bool:
        return bool(self.arms) or self.shadow is not None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`document`."""
        arms = tuple(Arm(arm["version"], arm["weight"]) for arm in document["arms"])
        return cls(arms, document["sticky_by"], document["shadow"])

    def document(self) -> dict[str, Any]:
        """As the database keeps it and JSON shows it."""
        arms = [{"version": arm.version, "weight": arm.weight} for arm in self.arms]
        return {"arms": arms, "sticky_by": self.sticky_by, "shadow": self.shadow}

    @property
    def versions(self) -> frozenset[int]:
        """All that requests are sent to."""
        shadow = () if self.shadow is None else (self.shadow,)
        return frozenset([*(arm.version for arm in self.arms), *shadow])

    def __str__(self) -> str:
        """In a line, for people: ``3=90 4=10, sticky by customer_id, shadow 5``."""
        parts = [" ".join(f"{arm.version}={arm.weight:g}" for arm in self.arms)] if self.arms else []
        parts += [f"sticky by {self.sticky_by}"] if self.sticky_by else []
        parts += [] if self.shadow is None else [f"shadow {self.shadow}"]
        return ", ".join(parts) or "off"


def champion(arms: tuple[Arm, ...]) -> Arm:
    """The arm with the largest weight; of equals the first."""
    return max(arms, key=lambda arm: arm.weight)


def check_arms(arms: tuple[Arm, ...]) -> None:
    """Raise ModelError ``invalid_split`` for arms that no requests can be spread over."""
    versions = [arm.version for arm in arms]
    if not 2 <= len(arms) <= MAX_ARMS:
        raise ModelError("invalid_split", f"A split has 2 to {MAX_ARMS} arms, not {len(arms)}.")
    if len(set(versions)) < len(versions):
        raise ModelError("invalid_split", "A version is named twice; each arm is another one.")
    for arm in arms:
        if not (math.isfinite(arm.weight) and arm.weight > 0):
            raise ModelError("invalid_split", f"The weight {arm.weight:g} is not a number above 0.")


def check_alike(one: Manifest, other: Manifest) -> None:
    """Raise ModelError ``not_alike`` unless any request for one can be answered by the other."""
    ours, theirs = one.signature, other.signature
    if (ours.kind, ours.names) != (theirs.kind, theirs.names):
        raise _not_alike(one, other, "take other input: the same columns in the same order are needed")
    kinds = [[column.kind for column in signature.columns] for signature in (ours, theirs)]
    if kinds[0] != kinds[1]:
        raise _not_alike(one, other, "take columns of other types")
    if _outputs(one) != _outputs(other):
        raise _not_alike(one, other, "answer other targets")


def _outputs(manifest: Manifest) -> list[tuple[str | None, bool]]:
    names = len(manifest.targets) > 1
    return [(target.name if names else None, target.classes is None) for target in manifest.targets]


def _not_alike(one: Manifest, other: Manifest, text: str) -> ModelError:
    return ModelError("not_alike", f"{one.reference} and {other.reference} {text}.")


def place_of(alias: str, key: str) -> float:
    """Where a key stands among all others, from 0 to below 1; the same in every process and for ever.

    ``alias`` is ``name@alias``: whoever is early in one split is not in the next.
    """
    digest = hashlib.sha256(f"{alias}\n{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def key_text(value: Any) -> str | None:
    """The value of a sticky column as a key; None for one that is no key. 1 and 1.0 are the same."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else None
