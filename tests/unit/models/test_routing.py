"""Who answers a request to a split alias: by weight on the whole, and always the same for one key."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import Manifest
from models.routing import Route
from models.traffic import Arm, Traffic, key_text, place_of

KEYS = [f"customer {number}" for number in range(20_000)]


def route(alias: str = "churn@live", /, **weights: float) -> Route:
    """A route whose arms are told by name."""
    arms = tuple(Arm(number, weight) for number, weight in enumerate(weights.values(), 1))
    manifests = cast(tuple[Manifest, ...], tuple(weights))
    return Route(manifests[0], alias, Traffic(arms, "id"), manifests)


def arm(of: Route, key: str) -> str:
    return cast(str, of.arm(place_of(of.alias, key)))


def shares(of: Route, keys: list[str]) -> Counter[str]:
    return Counter(arm(of, key) for key in keys)


def test_keys_are_spread_by_weight() -> None:
    found = shares(route(old=90, new=9, newest=1), KEYS)
    assert found["old"] == pytest.approx(0.90 * len(KEYS), rel=0.02)
    assert found["new"] == pytest.approx(0.09 * len(KEYS), rel=0.1)
    assert found["newest"] == pytest.approx(0.01 * len(KEYS), rel=0.3)


def test_places_are_laid_out_by_weight() -> None:
    of = route(old=3, new=1)
    found = [cast(str, of.arm(place)) for place in (0.0, 0.7499, 0.75, 0.9999)]
    assert found == ["old", "old", "new", "new"]


def test_whoever_got_the_new_version_keeps_it_when_its_share_grows() -> None:
    few, many = route(old=95, new=5), route(old=50, new=50)
    assert all(arm(many, key) == "new" for key in KEYS if arm(few, key) == "new")


def test_another_split_is_another_draw() -> None:
    here, there = route("churn@live", old=1, new=1), route("churn@other", old=1, new=1)
    both = sum(arm(here, key) == arm(there, key) for key in KEYS)
    assert both == pytest.approx(len(KEYS) / 2, rel=0.05)


def test_a_key_has_its_place_for_ever() -> None:
    """Other numbers would send everybody to another version at the next release."""
    assert place_of("churn@live", "42") == pytest.approx(0xE7FA1C67CD5A6675 / 2**64)


def test_only_what_the_champion_answered_is_copied() -> None:
    champion, arm, challenger = (cast(Manifest, SimpleNamespace(version=number)) for number in (1, 2, 3))
    traffic = Traffic((Arm(1, 9), Arm(2, 1)), shadow=3)
    of = Route(champion, "churn@live", traffic, (champion, arm), challenger)
    assert of.challenger(champion) is challenger
    assert of.challenger(arm) is None


@given(st.text(), st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=20))
def test_every_key_has_one_arm(key: str, weights: list[float]) -> None:
    of = route("churn@live", **{f"arm {number}": weight for number, weight in enumerate(weights)})
    assert 0 <= place_of(of.alias, key) < 1
    assert arm(of, key) is arm(of, key)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (42, "42"),
        (42.0, "42"),
        ("42", "42"),
        (0.5, "0.5"),
        (True, "true"),
        ("", ""),
        (None, None),
        ([42], None),
        ({}, None),
        (float("inf"), "inf"),
    ],
)
def test_what_is_a_key(value: Any, key: str | None) -> None:
    assert key_text(value) == key
