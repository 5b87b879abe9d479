"""References are remembered, and what changes counts from the next request on all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from base.database import Database
from base.database.tables import alias_moves, versions
from models.adding import NewVersion
from models.catalog import RENEW_SECONDS, Catalog
from models.errors import ModelNotFound
from models.registry import Registry
from tests.builders import trained_wine
from tests.conftest import Clock
from tests.waiting import wait_until


@pytest.fixture
def root(database: Database, tmp_path: Path) -> Path:
    return tmp_path / "models"


def add(database: Database, root: Path, folder: Path) -> int:
    """A version of wine, added by somebody else than the catalogue."""
    file, sample = trained_wine(folder)
    return Registry(database, root).add(NewVersion(name="wine", file=file, sample=sample)).version


def test_versions_and_aliases_of_others_count_at_once(database: Database, root: Path, tmp_path: Path) -> None:
    catalog = Catalog(Registry(database, root))
    with pytest.raises(ModelNotFound):
        catalog.resolve("wine", None)
    for number in (1, 2):
        assert add(database, root, tmp_path) == number
        assert catalog.resolve("wine", None).version == number
        assert catalog.resolve(None, None).version == number
    for number in (1, 2, 1):
        Registry(database, root).set_alias("wine", number, "production", "somebody")
        assert catalog.resolve("wine", None).version == number
        assert catalog.resolve("wine@production", None).version == number
    assert catalog.resolve("wine@2", None).version == 2


def test_the_database_is_not_asked_again(database: Database, root: Path, tmp_path: Path) -> None:
    catalog = Catalog(Registry(database, root))
    add(database, root, tmp_path)
    known = catalog.resolve("wine", None)
    with database.writing() as connection:
        connection.execute(delete(versions))
    assert catalog.resolve("wine", None) is known


def test_a_change_without_a_mark_counts_soon(database: Database, root: Path, tmp_path: Path) -> None:
    catalog = Catalog(Registry(database, root))
    for _ in range(2):
        add(database, root, tmp_path)
    assert catalog.resolve("wine", None).version == 2
    move = {"name": "wine", "alias": "production", "version": 1, "moved_at": 0.0, "moved_by": "nobody"}
    with database.writing() as connection:
        connection.execute(insert(alias_moves).values(**move))
    wait_until(lambda: catalog.resolve("wine", None).version == 1, "the alias is seen", 10 * RENEW_SECONDS)


def test_who_writes_to_the_database_holds_nobody_up(database: Database, root: Path, tmp_path: Path) -> None:
    add(database, root, tmp_path)
    catalog = Catalog(Registry(database, root), clock := Clock())
    known = catalog.resolve("wine", None)
    clock.advance(RENEW_SECONDS)
    with database.writing():
        assert catalog.resolve("wine", None) is known
    wait_until(lambda: catalog.resolve("wine", None) is not known, "it is looked up again")
