"""Aliases move with a history and back again; versions retire and go, and no job loses its ground."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sqlalchemy import Connection

from base.database import Database
from jobs import reading
from jobs.pinned import unended_jobs
from models.adding import NewVersion
from models.errors import ModelError, ModelNotFound
from models.registry import Expected, Registry
from tests.builders import OWNER, new_job
from tests.conftest import Clock
from tests.contract.conftest import Served
from tests.contract.test_registry import put

VERSIONS = 3


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    """Three versions of ``line``, the second and third as the first."""
    file = tmp_path / "line.joblib"
    joblib.dump(LinearRegression().fit(np.eye(2), [0, 1]), file)
    registry = Registry(database, tmp_path / "models")
    manifest = registry.add(NewVersion("line", file))
    for version in range(2, VERSIONS + 1):
        put(database, registry, manifest.model_copy(update={"version": version}))
    return registry


def nobody(connection: Connection, name: str, version: int) -> Sequence[str]:
    return ()


def moves(registry: Registry, alias: str = "production") -> list[tuple[int | None, int | None]]:
    return [(event.before, event.version) for event in registry.history("line", alias)]


def test_every_move_of_an_alias_is_kept(registry: Registry, clock: Clock) -> None:
    registry.set_alias("line", 1, "production", "ada", "first")
    clock.advance(5)
    registry.set_alias("line", 2, "production", "bob")
    registry.set_alias("line", 1, "other", "bob")
    first, second = registry.history("line", "production")
    assert (first.at, first.by, first.note) == (clock.now - 5, "ada", "first")
    assert (second.at, second.by, second.note) == (clock.now, "bob", None)
    assert moves(registry) == [(None, 1), (1, 2)]
    assert moves(registry, "other") == [(None, 1)]


def test_a_rollback_goes_back_one_move_and_another_one_further(registry: Registry) -> None:
    for version in (1, 2, 3):
        registry.set_alias("line", version, "production", "me")
    assert registry.roll_back("line", "production", "me", "bad").version == 2
    assert registry.resolve("line").version == 2
    assert registry.roll_back("line", "production", "me").version == 1
    with pytest.raises(ModelError, match="nothing to go back to") as refused:
        registry.roll_back("line", "production", "me")
    assert refused.value.code == "nothing_before"
    registry.set_alias("line", 3, "production", "me")
    assert registry.roll_back("line", "production", "me").version == 1
    assert [event.event for event in registry.history("line", "production")] == [
        *["alias"] * 3,
        *["rollback"] * 2,
        "alias",
        "rollback",
    ]


def test_a_move_to_the_same_version_is_no_step_to_go_back(registry: Registry) -> None:
    for version in (1, 1, 2, 2, 2):
        registry.set_alias("line", version, "production", "me")
    assert registry.roll_back("line", "production", "me").version == 1
    registry.set_alias("line", 1, "production", "me")
    with pytest.raises(ModelError, match="nothing to go back to"):
        registry.roll_back("line", "production", "me")
    assert len(moves(registry)) == 7


def test_a_rollback_never_goes_to_a_version_that_is_retired(registry: Registry) -> None:
    registry.set_alias("line", 1, "production", "me")
    registry.set_alias("line", 2, "production", "me")
    registry.retire("line", 1, nobody, "me")
    with pytest.raises(ModelError, match=r"line@1 before.*was retired on 2027-01-15") as refused:
        registry.roll_back("line", "production", "me")
    assert refused.value.code == "nothing_before"
    assert registry.resolve("line").version == 2


def test_an_alias_that_was_dropped_points_nowhere_and_can_come_back(registry: Registry) -> None:
    registry.set_alias("line", 1, "production", "me")
    registry.set_alias("line", 2, "candidate", "me")
    assert registry.drop_alias("line", "production", "me").before == 1
    assert registry.aliases() == {"line": {"candidate": 2}}
    assert registry.resolve("line").version == VERSIONS
    for gone in (registry.drop_alias, registry.roll_back):
        with pytest.raises(ModelNotFound, match="it has candidate"):
            gone("line", "never" if gone == registry.roll_back else "production", "me")
    assert registry.roll_back("line", "production", "me").version == 1
    assert registry.resolve("line").version == 1
    assert moves(registry) == [(None, 1), (1, None), (None, 1)]


def test_rollbacks_at_the_same_time_are_one_after_the_other(registry: Registry) -> None:
    for version in (1, 2, 3, 1, 2):
        registry.set_alias("line", version, "production", "me")
    with ThreadPoolExecutor(4) as pool:
        went = list(pool.map(lambda _: registry.roll_back("line", "production", "me").version, range(4)))
    assert sorted(went, key=str) == [1, 1, 2, 3]
    assert registry.resolve("line").version == 1


def test_a_move_may_be_bound_to_where_the_alias_points(registry: Registry) -> None:
    registry.set_alias("line", 1, "production", "me", expected=Expected(None))
    moves_: list[Callable[[Expected], object]] = [
        lambda expected: registry.set_alias("line", 3, "production", "me", expected=expected),
        lambda expected: registry.roll_back("line", "production", "me", expected=expected),
        lambda expected: registry.drop_alias("line", "production", "me", expected=expected),
    ]
    registry.set_alias("line", 2, "production", "me", expected=Expected(1))
    for wrong in (Expected(1), Expected(None)):
        for move in moves_:
            with pytest.raises(ModelError, match="points at line@2, not") as refused:
                move(wrong)
            assert refused.value.code == "alias_moved"
    assert moves(registry) == [(None, 1), (1, 2)]
    registry.roll_back("line", "production", "me", expected=Expected(2))
    registry.drop_alias("line", "production", "me", expected=Expected(1))
    with pytest.raises(ModelError, match="points nowhere, not at line@1"):
        registry.set_alias("line", 3, "production", "me", expected=Expected(1))


@pytest.mark.parametrize("round_number", range(3))
def test_a_bound_rollback_never_undoes_what_somebody_else_does_meanwhile(
    registry: Registry, round_number: int
) -> None:
    for version in (1, 2):
        registry.set_alias("line", version, "production", "me")
    barrier = threading.Barrier(2)

    def take_back() -> None:
        barrier.wait()
        try:
            registry.roll_back("line", "production", "a round", expected=Expected(2))
        except ModelError as moved:
            if moved.code != "alias_moved":
                raise

    def move() -> None:
        barrier.wait()
        registry.set_alias("line", 3, "production", "ada")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(take_back), pool.submit(move)]:
            done.result()
    assert registry.resolve("line").version == 3


def test_a_retired_version_takes_no_requests_and_its_number_is_not_used_again(
    registry: Registry, tmp_path: Path
) -> None:
    registry.retire("line", 3, nobody, "ada", "drifted")
    assert registry.resolve("line").version == 2
    for refused in (registry.get, registry.load):
        with pytest.raises(ModelNotFound, match=r"retired on .*the latest is line@2") as gone:
            refused("line", 3)
        assert gone.value.code == "version_retired"
    with pytest.raises(ModelNotFound):
        registry.set_alias("line", 3, "production", "me")
    with pytest.raises(ModelNotFound):
        registry.retire("line", 3, nobody, "me")
    assert [manifest.version for manifest in registry.list()] == [1, 2]
    assert registry.recorded("line", 3) == registry.recall("line@3")
    retirement = registry.retirement("line", 3)
    assert retirement is not None
    assert (retirement.retired.by, retirement.retired.note, retirement.removed) == ("ada", "drifted", None)
    assert registry.add(NewVersion("line", tmp_path / "line.joblib")).version == VERSIONS + 1


def test_a_model_may_lose_all_of_its_versions(registry: Registry) -> None:
    for version in (1, 2, 3):
        registry.retire("line", version, nobody, "me")
    assert registry.is_empty()
    with pytest.raises(ModelNotFound) as gone:
        registry.resolve("line@1")
    assert gone.value.code == "version_retired"
    with pytest.raises(ModelNotFound) as unknown:
        registry.resolve("line")
    assert unknown.value.code == "unknown_model"
    assert [event.event for event in registry.history("line")] == ["added"] * 3 + ["retired"] * 3


def test_what_still_needs_a_version_keeps_it_from_being_retired(
    registry: Registry, database: Database
) -> None:
    registry.set_alias("line", 1, "production", "me")
    job = new_job(database, model_name="line", model_version=1)
    new_job(database, model_name="line", model_version=2)
    new_job(database, model_name="other", model_version=1)
    with pytest.raises(ModelError, match=rf"alias production .* 1 job that uses it has.*{job.id}") as refused:
        registry.retire("line", 1, unended_jobs, "me")
    assert refused.value.code == "in_use"
    registry.retire("line", 3, unended_jobs, "me")
    with pytest.raises(ModelNotFound, match="was retired"):
        new_job(database, model_name="line", model_version=3)
    everything: dict[str, Any] = {"status": None, "model": None, "tag": None, "before": None, "limit": 9}
    assert len(reading.list_jobs(database, OWNER, **everything)) == 3


def at_once(work: Callable[[], object]) -> threading.Thread:
    """Start work that, if nothing holds it, is done when this returns."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.5)
    return thread


def test_a_job_that_comes_while_its_version_is_being_retired_is_refused(
    registry: Registry, database: Database
) -> None:
    refused: list[str] = []
    submitting: list[threading.Thread] = []

    def submit() -> None:
        try:
            new_job(database, model_name="line", model_version=1)
        except ModelNotFound as gone:
            refused.append(gone.code)

    def asked(connection: Connection, name: str, version: int) -> Sequence[str]:
        found = unended_jobs(connection, name, version)
        submitting.append(at_once(submit))  # too late to be seen
        return found

    registry.retire("line", 1, asked, "me")
    submitting[0].join()
    assert refused == ["version_retired"]


@pytest.mark.parametrize("round_number", range(5))
def test_whoever_is_first_a_job_never_has_a_retired_version(
    registry: Registry, database: Database, round_number: int
) -> None:
    barrier = threading.Barrier(2)

    def submit() -> bool:
        barrier.wait()
        try:
            return bool(new_job(database, model_name="line", model_version=1))
        except ModelNotFound:
            return False

    def retire() -> bool:
        barrier.wait()
        try:
            registry.retire("line", 1, unended_jobs, "me")
        except ModelError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        submitted, retired = pool.submit(submit), pool.submit(retire)
        assert submitted.result() != retired.result()


def test_only_a_retired_version_is_removed_and_only_its_files(registry: Registry) -> None:
    with pytest.raises(ModelError, match="rowmill models retire line@1") as refused:
        registry.remove("line", 1, "me")
    assert refused.value.code == "not_retired"
    registry.retire("line", 1, nobody, "me")
    manifest = registry.recorded("line", 1)
    for _ in range(2):  # once more does no harm
        registry.remove("line", 1, "bob")
        assert not registry.folder("line", 1).exists()
        retirement = registry.retirement("line", 1)
        assert retirement is not None
        assert retirement.removed is not None
        assert retirement.removed.by == "bob"
    assert registry.recorded("line", 1) == manifest
    assert registry.folder("line", 2).is_symlink()
    assert [event.event for event in registry.history("line")][-2:] == ["retired", "removed"]
    with pytest.raises(ModelNotFound, match="has no version 9"):
        registry.remove("line", 9, "me")


def test_old_jobs_and_their_results_outlive_their_version(served: Served) -> None:
    done, stopped = served.submit(), served.submit()
    served.work(done)
    served.plan(stopped)
    served.score(stopped, 0)
    registry = served.workshop.registry
    with pytest.raises(ModelError, match=stopped["id"]):
        registry.retire("wine", 1, unended_jobs, "me")
    served.post(f"/jobs/{stopped['id']}/cancel")
    result = served.result(served.job(done))
    registry.retire("wine", 1, unended_jobs, "ada", "old")
    registry.remove("wine", 1, "ada")

    assert served.job(done)["model"] == done["model"]
    assert served.result(served.job(done)) == result
    assert served.get(f"/jobs/{stopped['id']}/result.csv?partial=1").status_code == 200
    described = served.get("/models/wine@1").json
    assert (described["sha256"], described["retired"]["note"]) == (done["model"]["sha256"], "old")
    history = served.get("/models/wine/history").json["history"]
    assert [event["event"] for event in history] == ["added", "retired", "removed"]
    assert served.get("/models").json == {"models": []}
    for answer in (
        served.client.post("/jobs?model=wine@1", data=served.csv()),
        served.post(f"/jobs/{done['id']}/clone"),
        served.post(f"/jobs/{stopped['id']}/retry"),
        served.client.post("/predict?model=wine@1", json={"features": {}}),
    ):
        assert (answer.status_code, answer.json["code"]) == (410, "version_retired")


def test_the_history_is_told_over_http(served: Served) -> None:
    served.workshop.registry.set_alias("wine", 1, "production", "ada", "approved")
    added, moved = served.get("/models/wine/history").json["history"]
    assert (added["event"], added["version"]) == ("added", 1)
    assert moved.pop("at").endswith("Z")
    assert moved == {
        "event": "alias",
        "alias": "production",
        "before": None,
        "version": 1,
        "by": "ada",
        "note": "approved",
        "traffic": None,
    }
    assert served.get("/models/wine@production/history").json == {
        "history": [{"at": moved_at(served), **moved}]
    }
    for reference, status in {"wine@1": 400, "wine@never": 404, "vine": 404}.items():
        assert served.get(f"/models/{reference}/history").status_code == status


def moved_at(served: Served) -> str:
    at: str = served.get("/models/wine/history").json["history"][-1]["at"]
    return at
