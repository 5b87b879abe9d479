"""What is counted of a challenger's answer: labels that are the same, numbers by their difference."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jobs.shadowing.differing import MAX_NUMBERS, Change, agreed, changes
from models.manifest import Target

NUMBER = Target(name=None)
KIND = Target(name=None, classes=("red", "white"), label_type="string")
CLUSTER = Target(name=None, label_type="integer")


@pytest.mark.parametrize(
    ("target", "champion", "challenger", "is_agreed"),
    [
        (KIND, "red", "red", True),
        (KIND, "red", "white", False),
        (Target(name=None, classes=(0, 1), label_type="integer"), 1, 1.0, True),
        (Target(name=None, classes=(False, True), label_type="boolean"), "true", True, True),
        (CLUSTER, 3, 3, True),
        (CLUSTER, 3, 4, False),
        (NUMBER, 1.5, 1.5, None),
    ],
)
def test_labels(target: Target, champion: Any, challenger: Any, is_agreed: bool | None) -> None:
    assert agreed([target], champion, challenger) is is_agreed
    assert (list(changes([target], champion, challenger)) == []) is (target is not NUMBER)


def test_labels_of_several_targets_agree_if_all_do() -> None:
    both = [KIND.model_copy(update={"name": name}) for name in ("kind", "label")]
    red = {"kind": "red", "label": "red"}
    assert agreed(both, red, dict(red)) is True
    assert agreed(both, red, red | {"label": "white"}) is False


@pytest.mark.parametrize(("champion", "challenger", "difference"), [(10.0, 7.5, -2.5), (3, 3, 0), (-1, 1, 2)])
def test_a_change_is_the_challengers_number_less_the_champions(
    champion: float, challenger: float, difference: float
) -> None:
    assert list(changes([NUMBER], champion, challenger)) == [Change(0, None, difference)]


@pytest.mark.parametrize(
    ("champion", "challenger"),
    [(None, 1.0), (1.0, None), (math.nan, 1.0), (1.0, math.inf), (-1.7e308, 1.7e308)],
)
def test_what_is_no_finite_number_has_no_change(champion: float | None, challenger: float | None) -> None:
    assert list(changes([NUMBER], champion, challenger)) == []


def test_the_first_targets_are_told_apart() -> None:
    targets = [Target(name=f"y{place}") for place in range(MAX_NUMBERS + 3)]
    champion = {target.name: 1.0 for target in targets}
    challenger = {target.name: float(place) for place, target in enumerate(targets)}
    expected = [Change(place, f"y{place}", place - 1.0) for place in range(MAX_NUMBERS)]
    assert list(changes(targets, champion, challenger)) == expected
