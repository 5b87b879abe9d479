"""What two model versions answer, as the server describes them, and whether that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowmill.client.errors import NotComparable

Label = str | int | float | bool


@dataclass(frozen=True)
class Answers:
    """What one version answers for one target, and under which columns of its result."""

    prediction: str
    classes: tuple[Label, ...] | None  # None: numbers
    probabilities: tuple[str, ...]  # one a class, in their order; empty if the model gives none
    shown: Mapping[str, str]  # labels of the training data that results show under other names


@dataclass(frozen=True)
class Target:
    """The same output of both versions."""

    name: str | None
    first: Answers
    second: Answers

    @property
    def is_classes(self) -> bool:
        return self.first.classes is not None


def reference(described: Mapping[str, Any]) -> str:
    """The version that the server's description is of, for whatever name it was asked."""
    return f"{described['name']}@{described['version']}"


def targets(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Target]:
    """The outputs that both have, from `GET /models/<reference>` of each.

    Raises NotComparable if they answer different questions.
    """
    ours, theirs = _by_name(first), _by_name(second)
    if list(ours) != list(theirs):
        raise _different(first, second, _listed(ours), _listed(theirs))
    found = [Target(name, ours[name], theirs[name]) for name in ours]
    for target in found:
        if (target.first.classes is None) != (target.second.classes is None):
            raise _different(first, second, _kind(target.first), _kind(target.second))
    return found


def _by_name(described: Mapping[str, Any]) -> dict[str | None, Answers]:
    several = len(described["targets"]) > 1
    return {
        target["name"] if several else None: _answers(described, target, several)
        for target in described["targets"]
    }


def _answers(described: Mapping[str, Any], target: Mapping[str, Any], several: bool) -> Answers:
    part = f"_{target['name']}" if several else ""
    classes = None if target["classes"] is None else tuple(target["classes"])
    probabilities = tuple(f"probability{part}_{label_text(label)}" for label in classes or ())
    return Answers(
        prediction=f"prediction{part}",
        classes=classes,
        probabilities=probabilities if described["has_probabilities"] else (),
        shown=described["labels"] or {},
    )


def label_text(label: Label) -> str:
    """A label as it stands in a column's name: booleans as in JSON."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _different(first: Mapping[str, Any], second: Mapping[str, Any], one: str, other: str) -> NotComparable:
    return NotComparable(
        f"{reference(first)} answers {one}, {reference(second)} {other}: there is nothing to compare"
    )


def _listed(answers: Mapping[str | None, Answers]) -> str:
    return "one value" if None in answers else f"the targets {', '.join(str(name) for name in answers)}"


def _kind(answers: Answers) -> str:
    return "numbers" if answers.classes is None else "classes"
