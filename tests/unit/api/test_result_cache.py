"""Kept predictions: those of the same row, never more of them than were asked for, never for longer."""

from __future__ import annotations

import base64
import io
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import joblib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from api.result_cache import ENTRY_BYTES, ResultCache
from base.access import keys
from base.access.callers import Role
from base.database import Database
from models.adding import NewVersion
from models.registry import Registry
from tests.conftest import Clock
from tests.unit.api.conftest import Client, MakeApp, mixed_frame

ANSWER = {"prediction": "a", "probabilities": {"a": 0.1 + 0.2, "b": 0.7}}
# of a pipeline with an encoder, which has no kernel
ROW = {"age": 40.0, "region": "north", "member": True, "visits": 3}


def key(number: int) -> bytes:
    return number.to_bytes(32, "little")


@pytest.fixture
def client(make_app: MakeApp, stocked: Path) -> Client:
    return make_app(stocked, predict_cache_entries=100).test_client()


def ask(client: Client, row: Any, model: str = "churn") -> tuple[str | None, Any]:
    """What the answer says about the cache, and the answer."""
    answer = client.post("/predict", json={"model": model, "features": row}, buffered=True)
    assert answer.status_code == 200, answer.text
    return answer.headers.get("X-Cache"), answer.json


def test_what_was_kept_comes_back_whatever_callers_do_to_it(clock: Clock) -> None:
    cache = ResultCache(10, 10_000, 60, clock)
    cache.put(key(1), ANSWER)
    found = cache.get(key(1))
    assert found == ANSWER
    found["prediction"] = found["probabilities"]["a"] = None
    assert cache.get(key(1)) == ANSWER
    assert cache.get(key(2)) is None


def test_the_longest_unused_goes_first(clock: Clock) -> None:
    cache = ResultCache(2, 10_000, 60, clock)
    for number in (1, 2):
        cache.put(key(number), ANSWER)
    cache.get(key(1))
    cache.put(key(3), ANSWER)
    assert [cache.get(key(number)) is not None for number in (1, 2, 3)] == [True, False, True]


def test_its_time_is_over_however_often_it_was_asked_for(clock: Clock) -> None:
    cache = ResultCache(2, 10_000, 60, clock)
    cache.put(key(1), ANSWER)
    clock.advance(59)
    assert cache.get(key(1)) == ANSWER
    clock.advance(1)
    assert cache.get(key(1)) is None
    cache.put(key(1), ANSWER)
    assert cache.get(key(1)) == ANSWER


@given(
    entries=st.integers(1, 5),
    max_bytes=st.integers(0, 5 * ENTRY_BYTES),
    puts=st.lists(st.tuples(st.integers(0, 9), st.text(max_size=300)), max_size=30),
)
def test_never_more_entries_or_bytes(entries: int, max_bytes: int, puts: list[tuple[int, str]]) -> None:
    cache, last = ResultCache(entries, max_bytes, 60), dict[int, str]()
    for number, text in puts:
        cache.put(key(number), {"prediction": text})
        last[number] = text
        kept = {n: found["prediction"] for n in range(10) if (found := cache.get(key(n)))}
        assert len(kept) <= entries
        assert sum(len(value) + ENTRY_BYTES for value in kept.values()) <= max_bytes
        assert kept.items() <= last.items()


def test_an_entry_takes_no_more_than_it_is_said_to() -> None:
    cache = ResultCache(2000, 10_000_000, 60)
    tracemalloc.start()
    for number in range(2000):
        cache.put(key(number), {"prediction": number})
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 2000 * (ENTRY_BYTES + len('{"prediction": 1999}'))


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(ROW.items())),
        list(ROW.values()),
        ROW | {"age": 40, "visits": 3.0},
    ],
    ids=["order", "list", "whole numbers"],
)
def test_the_same_row_is_answered_from_the_cache(client: Client, same: Any) -> None:
    said, first = ask(client, ROW)
    assert said == "miss"
    assert ask(client, same) == ("hit", first)


@pytest.mark.parametrize(
    "other", [ROW | {"age": 41.0}, ROW | {"region": "south"}, ROW | {"member": False}], ids=str
)
def test_another_row_is_not(client: Client, other: Any) -> None:
    ask(client, ROW)
    assert ask(client, other)[0] == "miss"


def test_what_is_refused_is_refused_although_its_like_was_kept(client: Client) -> None:
    ask(client, ROW | {"visits": 1})
    for wrong in ({"visits": True}, {"visits": "1"}, {"member": 1}, {"extra": 1}, {"visits": None}):
        answer = client.post("/predict", json={"model": "churn", "features": ROW | {"visits": 1} | wrong})
        assert answer.status_code == 422, wrong


def test_warnings_are_told_every_time(client: Client) -> None:
    for shape in ("features", "instances"):
        row = ROW | {"age": 200.0}
        for _ in range(2):
            body = {"model": "churn", shape: [row] if shape == "instances" else row}
            answer = client.post("/predict", json=body)
            assert answer.headers["X-Cache"] == "miss"
            assert [told["pointer"].split("/")[1] for told in answer.json["warnings"]] == [shape]


def test_texts_and_images(client: Client) -> None:
    assert [ask(client, {"review": "a good day"}, "moods")[0] for _ in range(2)] == ["miss", "hit"]
    bare = client.post("/predict", json={"model": "moods", "text": "a good day"})
    assert bare.headers["X-Cache"] == "hit"
    file = io.BytesIO()
    Image.new("L", (8, 8), 7).save(file, "PNG")
    sent = client.post("/predict?model=digits", data=file.getvalue())
    assert (sent.status_code, sent.headers["X-Cache"]) == (200, "miss")
    text = base64.b64encode(file.getvalue()).decode()
    again = client.post("/predict", json={"model": "digits", "image": text})
    assert again.headers["X-Cache"] == "hit"
    assert again.json == sent.json


def test_all_protocols_share_it_and_it_is_counted(make_app: MakeApp, stocked: Path, tmp_path: Path) -> None:
    for name in ("models", "rowmill.db"):  # a folder for which nothing was counted yet
        (tmp_path / name).symlink_to(stocked / name)
    client: Client = make_app(tmp_path, predict_cache_entries=100).test_client()
    _, answer = ask(client, ROW)
    mlflow = client.post("/invocations?model=churn", json={"instances": [ROW]}, buffered=True)
    assert mlflow.headers["X-Cache"] == "hit"
    assert mlflow.json == {"predictions": [answer["prediction"]]}
    many = client.post("/predict", json={"model": "churn", "instances": [ROW, ROW]}, buffered=True)
    assert "X-Cache" not in many.headers
    assert many.json["predictions"][1]["probabilities"] == pytest.approx(answer["probabilities"])
    (model,) = client.get("/stats").json["models"]
    assert (model["model"], model["requests"], model["cache"]) == ("churn@1", 3, {"hits": 1, "misses": 1})


def test_plain_rows_with_a_compiled_scorer_need_no_cache(client: Client) -> None:
    row = {"size": 20.0, "weight": 5.0}
    wine = [13.0, 2.0, 2.3, 19.0, 100.0, 2.3, 2.0, 0.4, 1.6, 5.0, 1.0, 2.6, 750.0]
    assert [ask(client, wine, "wine@1")[0] for _ in range(2)] == [None, None]
    assert [ask(client, row, "positive")[0] for _ in range(2)] == ["miss", "hit"]


def test_it_is_off_unless_it_is_asked_for(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked).test_client()
    assert [ask(client, ROW)[0] for _ in range(2)] == [None, None]


def test_callers_do_not_learn_what_others_asked(make_app: MakeApp, stocked: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(stocked / "models")
    database = Database(f"sqlite:///{shutil.copy(stocked / 'rowmill.db', tmp_path)}")
    alice, bob = (keys.add(database, owner, Role.SUBMIT)[1] for owner in ("alice", "bob"))
    database.dispose()
    client: Client = make_app(tmp_path, predict_cache_entries=100, require_keys=1).test_client()

    def said_to(text: str) -> str:
        body = {"model": "churn", "features": ROW}
        said: str = client.post("/predict", json=body, headers={"X-API-Key": text}).headers["X-Cache"]
        return said

    assert [said_to(text) for text in (alice, bob, alice, bob)] == ["miss", "miss", "hit", "hit"]


def test_a_new_version_is_not_answered_from_the_old_ones_cache(make_app: MakeApp, tmp_path: Path) -> None:
    frame = mixed_frame()
    encoded = make_column_transformer((OneHotEncoder(), ["region"]), remainder="passthrough")
    pipeline = make_pipeline(encoded, LogisticRegression(max_iter=5000))
    joblib.dump(pipeline.fit(frame, (frame["age"] > 50).astype(int)), tmp_path / "churn.joblib")
    frame.to_parquet(tmp_path / "churn.parquet")
    database = Database(f"sqlite:///{tmp_path / 'rowmill.db'}")
    database.upgrade()
    registry = Registry(database, tmp_path / "models")
    client: Client = make_app(tmp_path, predict_cache_entries=100).test_client()

    def add(*labels: str) -> None:
        named = dict(zip("01", labels, strict=True))
        files = {"file": tmp_path / "churn.joblib", "sample": tmp_path / "churn.parquet"}
        registry.add(NewVersion("churn", **files, labels=named, compiled=False))  # type: ignore[arg-type]

    add("stays", "goes")
    assert [ask(client, ROW)[1]["prediction"] for _ in range(2)] == ["stays", "stays"]
    add("remains", "leaves")  # the same file, so the same digest
    said, answer = ask(client, ROW)
    assert (said, answer["prediction"], answer["model"]["version"]) == ("miss", "remains", 2)
    assert ask(client, ROW, "churn@1")[0] == "hit"
    database.dispose()
