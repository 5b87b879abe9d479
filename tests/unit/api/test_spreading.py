"""Requests to a split alias: one key is answered by one version, by every route; arms are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_wine

from api import at_once
from base.database import Database
from models.adding import NewVersion
from models.registry import Registry
from models.traffic import Arm, Traffic
from tests.builders import trained_wine
from tests.unit.api.conftest import Client, MakeApp, own_copy

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

WINE = load_wine(as_frame=True).data
ROW: dict[str, Any] = WINE.iloc[7].to_dict()
KEYS = [f"customer {number}" for number in range(40)]
HALVES = Traffic((Arm(1, 1), Arm(2, 1)))


@pytest.fixture
def registry(stocked: Path, tmp_path: Path) -> Iterator[Registry]:
    """As the command line has it: in another process, as far as the app can tell."""
    database = Database(f"sqlite:///{own_copy(stocked, tmp_path) / 'rowmill.db'}")
    yield Registry(database, tmp_path / "models")
    database.dispose()


@pytest.fixture
def client(registry: Registry, make_app: MakeApp, tmp_path: Path) -> Client:
    client: Client = make_app(tmp_path).test_client()
    client.open = partial(client.open, buffered=True)  # read to the end and closed, as a server does
    return client


def version(client: Client, key: str | None = None, body: Any = None, model: str = "wine@live") -> int:
    """Which one answered."""
    headers = {} if key is None else {"X-Rowmill-Key": key}
    answer = client.post("/predict", json={"model": model, **(body or {"features": ROW})}, headers=headers)
    assert answer.status_code == 200, answer.json
    found: int = answer.json["model"]["version"]
    return found


def test_a_key_is_answered_by_one_version_on_every_way(registry: Registry, client: Client) -> None:
    registry.split("wine", "live", HALVES, "me")
    first = {key: version(client, key) for key in KEYS}
    assert set(first.values()) == {1, 2}
    for body in ({"features": list(ROW.values())}, {"instances": [ROW, ROW]}, {"samples": [ROW] * 12}):
        assert {key: version(client, key, body) for key in KEYS} == first
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [value]} for name, value in ROW.items()
    ]
    for key, expected in list(first.items())[:10]:
        headers = {"X-Rowmill-Key": key}
        v2 = client.post("/v2/models/wine/versions/live/infer", json={"inputs": inputs}, headers=headers)
        assert v2.json["model_version"] == str(expected)
        mlflow = client.post("/invocations?model=wine@live", json={"inputs": [ROW]}, headers=headers)
        assert mlflow.status_code == 200
    found = {each["model"]: each for each in client.get("/stats").json["aliases"][0]["arms"]}
    answered = Counter(first.values()) + Counter(first.values()) + Counter(first.values())
    answered += Counter(first.values()) + Counter(list(first.values())[:10] * 2)
    assert {name: each["requests"] for name, each in found.items()} == {
        f"wine@{number}": count for number, count in answered.items()
    }


def test_without_a_key_a_column_decides_and_without_both_chance(registry: Registry, client: Client) -> None:
    registry.split("wine", "live", Traffic(HALVES.arms, sticky_by="alcohol"), "me")
    by_value: dict[float, int] = {}
    for row in WINE.head(60).to_dict("records"):
        answered = version(client, None, {"features": row})
        assert by_value.setdefault(row["alcohol"], answered) == answered
        assert version(client, None, {"features": list(row.values())}) == answered
        assert version(client, None, {"instances": [row, ROW]}) == answered, "the first row decides"
    assert set(by_value.values()) == {1, 2}
    assert {version(client, key) for key in KEYS} == {1, 2}, "a key that is sent comes first"
    registry.split("wine", "live", HALVES, "me")
    assert {version(client) for _ in range(50)} == {1, 2}


def test_a_version_that_takes_the_long_way_gets_its_share(
    registry: Registry, client: Client, tmp_path: Path
) -> None:
    """Each way draws by itself, and whoever is handed on twice is drawn a quarter of the time."""
    file, sample = trained_wine(tmp_path)
    slow = registry.add(NewVersion(name="wine", file=file, sample=sample, compiled=False)).version
    registry.split("wine", "live", Traffic((Arm(1, 1), Arm(slow, 1))), "me")
    found = Counter(version(client) for _ in range(400))
    assert found[slow] == pytest.approx(200, abs=60), "six standard deviations"
    with at_once.asking(), pytest.raises(at_once.NotAtOnce):
        version(client)


def test_a_moved_alias_ends_its_split_at_once(registry: Registry, client: Client) -> None:
    registry.split("wine", "live", HALVES, "me")
    assert {version(client, key) for key in KEYS} == {1, 2}
    registry.set_alias("wine", 2, "live", "me")
    assert {version(client, key) for key in KEYS} == {2}
    assert version(client, "anybody", model="wine@1") == 1


def test_what_is_shown_of_a_split(registry: Registry, client: Client) -> None:
    registry.split("wine", "live", Traffic((Arm(1, 10), Arm(2, 90)), sticky_by="hue"), "me")
    shown = {
        "live": {
            "arms": [{"version": 1, "weight": 10}, {"version": 2, "weight": 90}],
            "sticky_by": "hue",
            "shadow": None,
        }
    }
    assert client.get("/models/wine@live").json["version"] == 2
    assert client.get("/models/wine@live").json["traffic"] == shown
    listed = {model["name"]: model for model in client.get("/models").json["models"]}
    assert (listed["wine"]["traffic"], listed["churn"]["traffic"]) == (shown, {})


def test_arms_are_no_routes(registry: Registry, client: Client) -> None:
    registry.split("wine", "live", HALVES, "me")
    for key in KEYS:
        version(client, key)
    bad = client.post("/predict", json={"model": "wine@live", "features": {**ROW, "hue": "blue"}})
    assert bad.status_code == 422
    found = client.get("/stats").json
    assert found["all"]["requests"] == len(KEYS) + 1
    assert {entry["route"] for entry in found["routes"]} == {"POST /predict", "other"}
    [live] = found["aliases"]
    assert live["alias"] == "wine@live"
    assert sum(arm["requests"] for arm in live["arms"]) == len(KEYS) + 1
    assert sum(arm["refusals"] for arm in live["arms"]) == 1
