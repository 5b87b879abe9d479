"""Versions that come and aliases that move under requests that never stop; loading ahead of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from apiflask import APIFlask
from sklearn.linear_model import LinearRegression

from api.warming import load_likely
from base.database import Database
from jobs.workshop import Workshop
from models.adding import NewVersion
from models.registry import Registry
from models.traffic import Arm, Traffic
from tests.unit.api.conftest import MakeApp

FEATURES = np.arange(20.0).reshape(10, 2)
CLIENTS = 4


class Models:
    """The registry as the command line has it: in another process, as far as the app can tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = Database(f"sqlite:///{folder / 'rowmill.db'}")
        self._database.upgrade()
        self.registry = Registry(self._database, folder / "models")

    def add(self, name: str) -> int:
        """A version that always predicts its own number."""
        number = 1 + len(self.registry.list(name))
        file = self.folder / "model.joblib"
        joblib.dump(LinearRegression().fit(FEATURES, np.full(10, float(number))), file)
        return self.registry.add(NewVersion(name, file)).version

    def close(self) -> None:
        self._database.dispose()


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models]:
    made = Models(tmp_path)
    yield made
    made.close()


def predicted(app: APIFlask) -> tuple[int, int]:
    """The version that answered, and what it said."""
    answer = app.test_client().post("/predict?model=line", json={"features": [0.0, 1.0]})
    assert answer.status_code == 200, answer.text
    return answer.json["model"]["version"], round(answer.json["prediction"])  # type: ignore[index]


def test_no_request_fails_while_versions_come_and_aliases_move(models: Models, make_app: MakeApp) -> None:
    models.add("line")
    app = make_app(models.folder, model_cache_bytes=1)  # room for one: each request for another is a load
    over = threading.Event()

    def ask() -> Counter[tuple[int, int]]:
        seen: Counter[tuple[int, int]] = Counter()
        while not over.is_set():
            seen[predicted(app)] += 1
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            for version in (2, 3):
                assert models.add("line") == version
                assert predicted(app) == (version, version)  # from the next request
            for version in (1, 2, 3, 1):
                models.registry.set_alias("line", version, "production", "a test")
                assert predicted(app) == (version, version)
        finally:
            over.set()
        seen = sum((each.result() for each in asking), Counter[tuple[int, int]]())
    assert {version for version, _ in seen} == {1, 2, 3}
    assert all(version == prediction for version, prediction in seen)


def workshop(app: APIFlask) -> Workshop:
    shop: Workshop = app.extensions["workshop"]
    return shop


def test_the_default_model_and_those_in_production_are_loaded_ahead(
    models: Models, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("line", "line", "other", "damaged", "seldom", "shared", "shared"):
        models.add(name)
    models.registry.split("shared", "production", Traffic((Arm(1, 9), Arm(2, 1))), "a test")
    for name in ("line", "damaged"):
        models.registry.set_alias(name, 1, "production", "a test")
    for path in models.registry.folder("damaged", 1).iterdir():
        path.write_bytes(b"")
    shop = workshop(make_app(models.folder, default_model="other"))
    load_likely(shop)
    monkeypatch.setattr(Registry, "load", None)  # from here on nothing can be loaded
    assert shop.models.get("line", 1)
    assert shop.models.get("other", 1)
    assert shop.models.get("shared", 2), "an arm answers requests too"
    for name, version in (("line", 2), ("seldom", 1), ("damaged", 1)):
        with pytest.raises(TypeError):
            shop.models.get(name, version)


def test_nothing_is_loaded_ahead_for_which_there_is_no_room(
    models: Models, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("line", "other"):
        models.add(name)
        models.registry.set_alias(name, 1, "production", "a test")
    room = models.registry.get("line", 1).loaded_bytes
    shop = workshop(make_app(models.folder, default_model="line", model_cache_bytes=room))
    load_likely(shop)
    monkeypatch.setattr(Registry, "load", None)
    assert shop.models.get("line", 1)
    with pytest.raises(TypeError):
        shop.models.get("other", 1)
