"""The registry keeps its promises on both databases."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sqlalchemy import Connection, delete, event, select
from sqlalchemy.exc import OperationalError

from base.database import Database
from base.database.tables import alias_moves, versions
from models.adding import NewVersion
from models.cache import ModelCache
from models.errors import ArtefactRefused, ModelError, ModelNotFound
from models.gate import Evaluation
from models.loading import LoadedModel
from models.manifest import Manifest
from models.registry import Registry
from tests.conftest import Clock
from tests.waiting import wait_until

FEATURES = np.arange(20.0).reshape(10, 2)
ROWS = pa.table({"x0": [1.0, 2.0], "x1": [3.0, 5.0]})


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    return Registry(database, tmp_path / "models")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "line.joblib"
    joblib.dump(LinearRegression().fit(FEATURES, FEATURES[:, 0]), path)
    return path


def test_versions_count_up_and_stay_as_they_were(registry: Registry, file: Path, clock: Clock) -> None:
    first = registry.add(NewVersion("line", file))
    joblib.dump(LinearRegression().fit(FEATURES, FEATURES[:, 1]), file)
    clock.advance(60)
    second = registry.add(NewVersion("line", file, revision="abc"))
    assert (first.reference, second.reference) == ("line@1", "line@2")
    assert first.sha256 != second.sha256
    assert registry.get("line", 1) == first
    assert registry.get("line", 2) == second
    assert (first.created_at, second.created_at) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:01:00.000Z")
    assert [manifest.reference for manifest in registry.list()] == ["line@1", "line@2"]
    assert [manifest.reference for manifest in registry.list("other")] == []


def test_a_stored_version_scores_after_the_original_file_is_gone(registry: Registry, file: Path) -> None:
    registry.add(NewVersion("line", file))
    expected = joblib.load(file).predict(np.column_stack([ROWS["x0"], ROWS["x1"]]))
    file.unlink()
    assert np.allclose(registry.load("line", 1).score(ROWS)["prediction"].to_numpy(), expected, rtol=1e-12)


def test_what_a_reference_means(registry: Registry, file: Path) -> None:
    for _ in range(3):
        registry.add(NewVersion("line", file))
    assert registry.resolve("line").version == 3
    assert registry.resolve("line@1").version == 1
    registry.set_alias("line", 2, "production", "me")
    assert registry.resolve("line").version == 2
    assert registry.resolve("line@production").version == 2
    registry.set_alias("line", 1, "production", "me")
    registry.set_alias("line", 3, "candidate", "me")
    assert registry.resolve("line").version == 1
    assert registry.aliases() == {"line": {"candidate": 3, "production": 1}}


def test_no_reference_means_the_default_else_the_only_model(registry: Registry, file: Path) -> None:
    with pytest.raises(ModelError) as none_yet:
        registry.resolve(None)
    assert none_yet.value.code == "no_models"
    registry.add(NewVersion("line", file))
    assert registry.resolve(None).reference == "line@1"
    registry.add(NewVersion("other", file))
    with pytest.raises(ModelError, match="line, other") as ambiguous:
        registry.resolve(None)
    assert ambiguous.value.code == "model_required"
    assert registry.resolve(None, "other").reference == "other@1"
    assert registry.resolve("line", "other").reference == "line@1"


@pytest.mark.parametrize(
    ("reference", "code", "words"),
    [
        ("lime", "unknown_model", "did you mean line"),
        ("zzz", "unknown_model", "there are line"),
        ("line@7", "unknown_version", "the latest is line@1"),
        ("zzz@1", "unknown_model", "there are line"),
        ("line@staging", "unknown_alias", "it has production"),
        ("zzz@staging", "unknown_model", "there are line"),
        ("Line", "invalid_reference", "not a model name"),
    ],
)
def test_an_unknown_reference_tells_what_there_is(
    registry: Registry, file: Path, reference: str, code: str, words: str
) -> None:
    registry.add(NewVersion("line", file))
    registry.set_alias("line", 1, "production", "me")
    with pytest.raises(ModelError, match=words) as unknown:
        registry.resolve(reference)
    assert unknown.value.code == code


def test_an_alias_needs_a_version_and_a_proper_name(
    registry: Registry, file: Path, database: Database
) -> None:
    registry.add(NewVersion("line", file))
    with pytest.raises(ModelNotFound):
        registry.set_alias("line", 2, "production", "me")
    with pytest.raises(ModelError, match="cannot be an alias"):
        registry.set_alias("line", 1, "2", "me")
    with database.reading() as connection:
        assert connection.execute(select(alias_moves)).all() == []


def test_versions_added_at_the_same_time_get_numbers_of_their_own(registry: Registry, file: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: registry.add(NewVersion("line", file)).version, range(4)))
    assert sorted(added) == [1, 2, 3, 4]
    assert all(registry.load("line", version).manifest.version == version for version in added)


def test_a_failed_add_leaves_nothing(registry: Registry, database: Database, tmp_path: Path) -> None:
    bad = tmp_path / "bad.joblib"
    joblib.dump({"no": "model"}, bad)
    with pytest.raises(ArtefactRefused):
        registry.add(NewVersion("line", bad))
    with pytest.raises(ModelError, match="not a model name"):
        registry.add(NewVersion("../line", bad))
    assert [path for path in (tmp_path / "models").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "models" / ".staging").iterdir()) == []
    with database.reading() as connection:
        assert connection.execute(select(versions)).all() == []


def test_a_version_that_its_gate_refuses_is_not_added(registry: Registry, file: Path, tmp_path: Path) -> None:
    def refuse(model: LoadedModel) -> Evaluation:
        assert model.score(ROWS).num_rows == ROWS.num_rows
        raise ModelError("bar_missed", "not good enough")

    with pytest.raises(ModelError, match="not good enough"):
        registry.add(NewVersion("line", file), refuse)
    assert registry.is_empty()
    assert [path for path in (tmp_path / "models").rglob("*") if path.is_file()] == []

    found = Evaluation(
        holdout="h.csv", sha256="0" * 64, rows=3, unlabelled=0, metrics={"r2": 0.5, "mae": None}
    )
    manifest = registry.add(NewVersion("line", file), lambda _: found)
    assert registry.get("line", 1) == manifest
    assert registry.get("line", 1).evaluation == found


def test_a_folder_without_a_row_is_replaced(registry: Registry, file: Path, database: Database) -> None:
    registry.add(NewVersion("line", file, compiled=False))
    with database.writing() as connection:
        connection.execute(delete(versions))
    (registry.folder("line", 1) / "left over").write_text("")
    registry.add(NewVersion("line", file, compiled=False))
    assert [path.name for path in registry.folder("line", 1).iterdir()] == ["model.joblib"]


@pytest.mark.parametrize("came_through", [False, True])
def test_a_commit_that_fails_leaves_nothing_unless_it_came_through(
    registry: Registry, file: Path, database: Database, *, came_through: bool
) -> None:
    def fail(connection: Connection) -> None:
        if came_through:
            connection.exec_driver_sql("COMMIT")
        raise OperationalError("COMMIT", {}, OSError("the answer was lost"))

    event.listen(database._engine, "commit", fail)
    with pytest.raises(OperationalError):
        registry.add(NewVersion("line", file, compiled=False))
    event.remove(database._engine, "commit", fail)
    assert registry.folder("line", 1).exists() == came_through
    assert registry.is_empty() != came_through
    assert registry.add(NewVersion("line", file, compiled=False)).version == 1 + came_through
    assert registry.load("line", 1).score(ROWS).num_rows == ROWS.num_rows


def test_what_leaves_the_staging_folder_meanwhile_does_no_harm(
    registry: Registry, file: Path, tmp_path: Path
) -> None:
    """Another process lists its folder, then moves it; a link to nowhere is as gone as that."""
    staging = tmp_path / "models" / ".staging"
    staging.mkdir(parents=True)
    (staging / "moved").symlink_to(staging / "nowhere")
    assert registry.add(NewVersion("line", file, compiled=False)).version == 1


def test_what_a_killed_add_left_is_removed_a_day_later(
    registry: Registry, file: Path, tmp_path: Path
) -> None:
    staging = tmp_path / "models" / ".staging"
    for name, age in {"young": 0, "old": 2 * 86400}.items():
        (staging / name).mkdir(parents=True)
        stat = (staging / name).stat()
        os.utime(staging / name, (stat.st_atime, stat.st_mtime - age))
    registry.add(NewVersion("line", file))
    assert [path.name for path in staging.iterdir()] == ["young"]


def test_the_digest_that_counts_is_the_one_in_the_database(registry: Registry, file: Path) -> None:
    manifest = registry.add(NewVersion("line", file, compiled=False))
    stored = registry.folder("line", 1) / manifest.artefact.file
    stored.write_bytes(stored.read_bytes() + b"\0")
    with pytest.raises(ArtefactRefused) as refused:
        registry.load("line", 1)
    assert refused.value.code == "digest_mismatch"


class Counting(Registry):
    """A registry that counts what it loads."""

    def __init__(self, database: Database, root: Path) -> None:
        super().__init__(database, root)
        self.loaded: list[tuple[str, int]] = []

    def load(self, name: str, version: int) -> LoadedModel:
        self.loaded.append((name, version))
        return super().load(name, version)


def test_a_process_loads_a_version_once_however_many_threads_ask(
    database: Database, file: Path, tmp_path: Path
) -> None:
    registry = Counting(database, tmp_path / "models")
    registry.add(NewVersion("line", file))
    registry.add(NewVersion("line", file))
    cache = ModelCache(registry, 1 << 30)
    barrier = threading.Barrier(8)

    def ask(number: int) -> int:
        barrier.wait()
        return id(cache.get("line", 1 + number % 2))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 2
    assert sorted(registry.loaded) == [("line", 1), ("line", 2)]


class FailingOnce(Counting):
    """A registry whose first load fails, once so many others wait for it."""

    def __init__(self, database: Database, root: Path) -> None:
        super().__init__(database, root)
        self.asking: list[int] = []

    def load(self, name: str, version: int) -> LoadedModel:
        if not self.loaded:
            wait_until(lambda: len(self.asking) == 8, "all ask")
            self.loaded.append((name, version))
            raise ArtefactRefused("artefact_missing", "the disk was away")
        return super().load(name, version)


def test_who_waited_for_a_load_that_failed_loads_by_himself(
    database: Database, file: Path, tmp_path: Path
) -> None:
    registry = FailingOnce(database, tmp_path / "models")
    registry.add(NewVersion("line", file))
    cache = ModelCache(registry, 1 << 30)

    def ask(number: int) -> str:
        registry.asking.append(number)
        try:
            return cache.get("line", 1).manifest.reference
        except ArtefactRefused as refused:
            return refused.code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == ["artefact_missing", *["line@1"] * 7]
    assert registry.loaded == [("line", 1)] * 2


@pytest.fixture
def sized(database: Database, file: Path, tmp_path: Path) -> Counting:
    """Versions 1 to 4 of ``line``, which take 10, 20, 30 and 100 bytes as their manifests say."""
    registry = Counting(database, tmp_path / "models")
    manifest = registry.add(NewVersion("line", file, compiled=False))
    for version, size in enumerate((10, 20, 30, 100), 1):
        copy = manifest.model_copy(update={"version": version, "memory_bytes": size})
        put(database, registry, copy)
    return registry


def put(database: Database, registry: Registry, manifest: Manifest) -> None:
    """Store a manifest, with the files of the first version."""
    with database.writing() as connection:
        row = connection.execute(select(versions)).first()
        assert row is not None
        values = row._asdict() | {"version": manifest.version, "manifest": manifest.model_dump(mode="json")}
        connection.execute(delete(versions).where(versions.c.version == manifest.version))
        connection.execute(versions.insert().values(values))
    folder = registry.folder(manifest.name, manifest.version)
    if not folder.exists():
        folder.symlink_to(registry.folder(manifest.name, 1))


def test_the_longest_unused_makes_room_for_as_many_bytes_as_come(sized: Counting) -> None:
    cache = ModelCache(sized, 60)
    for version in (1, 2, 3, 1, 2, 3, 1):
        cache.get("line", version)
    assert sized.loaded == [("line", 1), ("line", 2), ("line", 3)]
    assert not cache.has_room_for(sized.get("line", 4))
    cache.get("line", 4)  # larger than all the room there is: held alone
    for version in (4, 3, 2, 1):
        cache.get("line", version)
    for version in (2, 3, 1):
        cache.get("line", version)
    assert [version for _, version in sized.loaded[3:]] == [4, 3, 2, 1]
    assert cache.has_room_for(sized.get("line", 3))


def test_a_failure_is_not_kept(sized: Counting, file: Path) -> None:
    cache = ModelCache(sized, 60)
    with pytest.raises(ModelNotFound):
        cache.get("line", 9)
    stored = sized.folder("line", 1) / "model.joblib"
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1])
    with pytest.raises(ArtefactRefused):
        cache.get("line", 4)
    assert cache.has_room_for(sized.get("line", 3))
    stored.write_bytes(whole)
    for version in (3, 2, 1, 3):
        cache.get("line", version)
    assert [version for _, version in sized.loaded] == [4, 3, 2, 1]


def test_a_version_from_before_sizes_were_measured_counts_twice_its_files(sized: Counting) -> None:
    manifest = sized.get("line", 1).model_copy(update={"memory_bytes": None})
    assert manifest.loaded_bytes == 2 * manifest.artefact.bytes
