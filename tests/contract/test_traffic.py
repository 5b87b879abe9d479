"""Aliases are split and shadowed with a history, end with the next move, and hold the versions they need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sqlalchemy import Connection

from base.database import Database
from models.adding import NewVersion
from models.errors import ModelError, ModelNotFound
from models.registry import Registry
from models.traffic import Arm, Traffic
from tests.conftest import Clock
from tests.contract.test_registry import put


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    """Four alike versions of ``line``, and ``plane`` with other columns."""
    file = tmp_path / "line.joblib"
    registry = Registry(database, tmp_path / "models")
    joblib.dump(LinearRegression().fit(np.eye(2), [0, 1]), file)
    manifest = registry.add(NewVersion("line", file))
    for version in range(2, 5):
        put(database, registry, manifest.model_copy(update={"version": version}))
    joblib.dump(LinearRegression().fit(np.eye(3), [0, 1, 2]), file)
    other = registry.add(NewVersion("plane", file))
    put(database, registry, other.model_copy(update={"name": "line", "version": 9}))
    return registry


def arms(**weights: float) -> tuple[Arm, ...]:
    return tuple(Arm(int(name[1:]), weight) for name, weight in weights.items())


def nobody(connection: Connection, name: str, version: int) -> Sequence[str]:
    return ()


def code_of(refused: pytest.ExceptionInfo[ModelError]) -> str:
    return refused.value.code


def test_a_split_alias_points_at_its_champion(registry: Registry) -> None:
    registry.set_alias("line", 1, "live", "me")
    wanted = Traffic(arms(v2=10, v3=90), sticky_by="x0")
    assert registry.split("line", "live", wanted, "me") == wanted
    assert registry.resolve("line@live").version == 3, "what jobs are pinned to"
    route = registry.route("line@live")
    assert (route.alias, route.traffic, route.manifest.version) == ("line@live", wanted, 3)
    assert [arm.version for arm in route.arms] == [2, 3]
    assert registry.route("line@3").arms == (), "a version that is named answers itself"
    assert registry.route("line").arms == ()
    assert registry.traffic() == {"line": {"live": wanted}}


def test_the_plain_name_is_split_with_production(registry: Registry) -> None:
    registry.split("line", "production", Traffic(arms(v1=1, v2=1)), "me")
    for reference in ("line", "line@production"):
        assert len(registry.route(reference).arms) == 2
    assert registry.resolve("line").version == 1, "of equals the first"


@pytest.mark.parametrize("ends", ["alias", "alias again", "rollback", "unalias", "off"])
def test_a_split_and_a_shadow_end(registry: Registry, ends: str) -> None:
    registry.set_alias("line", 2, "live", "me")
    registry.set_alias("line", 1, "live", "me")
    registry.split("line", "live", Traffic(arms(v1=2, v2=1)), "me")
    registry.shadow("line", "live", 3, "me")
    after: dict[str, Any] = {
        "alias": lambda: registry.set_alias("line", 4, "live", "me"),
        "alias again": lambda: registry.set_alias("line", 1, "live", "me"),
        "rollback": lambda: registry.roll_back("line", "live", "me"),
        "unalias": lambda: registry.drop_alias("line", "live", "me"),
        "off": lambda: (
            registry.end_split("line", "live", "me"),
            registry.end_shadow("line", "live", "me"),
        ),
    }
    after[ends]()
    assert registry.traffic().get("line", {}) == {}
    if ends != "unalias":
        route = registry.route("line@live")
        assert (route.arms, route.shadow, bool(route.traffic)) == ((), None, False)


def test_a_rollback_brings_back_what_the_move_ended(registry: Registry, clock: Clock) -> None:
    registry.set_alias("line", 1, "live", "me")
    split = Traffic(arms(v1=2, v2=1), sticky_by="x0", shadow=3)
    registry.shadow("line", "live", 3, "me")
    registry.split("line", "live", Traffic(split.arms, split.sticky_by), "me")
    for _ in range(2):  # back to what a rollback brought back, too
        registry.set_alias("line", 4, "live", "me")
        assert registry.traffic() == {}
        clock.advance(5)
        back = registry.roll_back("line", "live", "ada", "too many errors")
        assert (back.version, back.traffic, back.retired) == (1, split, ())
        assert registry.traffic() == {"line": {"live": split}}
    told = registry.history("line", "live")[-2:]
    assert [(event.event, event.by, event.note) for event in told] == [
        ("rollback", "ada", "too many errors"),
        ("traffic", "ada", "too many errors"),
    ]
    registry.end_split("line", "live", "me")
    registry.drop_alias("line", "live", "me")
    assert registry.roll_back("line", "live", "me").traffic == Traffic(shadow=3), "as it was last"


def test_a_rollback_brings_no_retired_version_back(registry: Registry) -> None:
    registry.split("line", "live", Traffic(arms(v1=2, v2=1)), "me")
    registry.shadow("line", "live", 3, "me")
    registry.set_alias("line", 4, "live", "me")
    registry.retire("line", 2, nobody, "me")
    back = registry.roll_back("line", "live", "me")
    assert (back.version, back.traffic, back.retired) == (1, Traffic(shadow=3), (2,))
    registry.set_alias("line", 4, "live", "me")
    registry.retire("line", 3, nobody, "me")
    assert registry.roll_back("line", "live", "me").retired == (3,)
    assert registry.traffic().get("line", {}) == {}


def test_a_shadow_stays_beside_a_split_until_it_is_an_arm(registry: Registry) -> None:
    registry.set_alias("line", 1, "live", "me")
    registry.shadow("line", "live", 3, "me")
    shadow = registry.route("line@live").shadow
    assert shadow is not None
    assert shadow.version == 3
    assert registry.split("line", "live", Traffic(arms(v1=9, v2=1)), "me").shadow == 3
    assert registry.end_split("line", "live", "me") == Traffic(shadow=3)
    assert registry.split("line", "live", Traffic(arms(v1=9, v3=1)), "me").shadow is None


def test_every_change_is_kept(registry: Registry, clock: Clock) -> None:
    registry.split("line", "live", Traffic(arms(v1=9, v2=1)), "ada", "try it")
    clock.advance(5)
    registry.shadow("line", "live", 3, "bob")
    moved, split, shadowed = registry.history("line", "live")
    assert (moved.event, moved.version, moved.by, moved.note) == ("alias", 1, "ada", "try it")
    assert (split.event, split.by, split.note, str(split.traffic)) == ("traffic", "ada", "try it", "1=9 2=1")
    assert (shadowed.at, shadowed.by, str(shadowed.traffic)) == (clock.now, "bob", "1=9 2=1, shadow 3")
    assert [event.event for event in registry.history("line")][-3:] == ["alias", "traffic", "traffic"]
    assert shadowed.document()["traffic"]["shadow"] == 3


def test_what_requests_are_sent_to_is_not_retired(registry: Registry) -> None:
    registry.split("line", "live", Traffic(arms(v1=9, v2=1)), "me")
    registry.shadow("line", "live", 3, "me")
    for version, why in ((1, "alias live"), (2, "one of the arms"), (3, "the shadow of line@live")):
        with pytest.raises(ModelError, match=why) as refused:
            registry.retire("line", version, nobody, "me")
        assert code_of(refused) == "in_use"
    registry.set_alias("line", 4, "live", "me")
    for version in (1, 2, 3):
        registry.retire("line", version, nobody, "me")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Traffic(arms(v1=1)), "invalid_split"),
        (Traffic(tuple(Arm(1, 1) for _ in range(2))), "invalid_split"),
        (Traffic(arms(v1=1, v2=0)), "invalid_split"),
        (Traffic(arms(v1=1, v2=float("inf"))), "invalid_split"),
        (Traffic(arms(v1=1, v9=1)), "not_alike"),
        (Traffic(arms(v1=1, v2=1), sticky_by="customer"), "unknown_column"),
        (Traffic(arms(v1=1, v7=1)), "unknown_version"),
    ],
)
def test_splits_that_are_refused_change_nothing(registry: Registry, wanted: Traffic, code: str) -> None:
    with pytest.raises(ModelError) as refused:
        registry.split("line", "live", wanted, "me")
    assert code_of(refused) == code
    with pytest.raises(ModelNotFound):
        registry.resolve("line@live")


def test_shadows_that_are_refused(registry: Registry) -> None:
    with pytest.raises(ModelNotFound):
        registry.shadow("line", "live", 2, "me")
    registry.split("line", "live", Traffic(arms(v1=9, v2=1)), "me")
    for version, code in ((1, "invalid_shadow"), (2, "invalid_shadow"), (9, "not_alike")):
        with pytest.raises(ModelError) as refused:
            registry.shadow("line", "live", version, "me")
        assert code_of(refused) == code
    with pytest.raises(ModelError) as refused:
        registry.end_shadow("line", "live", "me")
    assert code_of(refused) == "no_shadow"
    registry.end_split("line", "live", "me")
    with pytest.raises(ModelError) as refused:
        registry.end_split("line", "live", "me")
    assert code_of(refused) == "no_split"
