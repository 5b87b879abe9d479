"""Which journal SQLite keeps: before 3.51.3, several writers may corrupt a WAL database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from base.database import Database


@pytest.mark.parametrize(
    ("release", "journal"), [((3, 40, 1), "truncate"), ((3, 51, 2), "truncate"), ((3, 51, 3), "wal")]
)
def test_the_journal_is_safe_with_this_release(
    release: tuple[int, int, int], journal: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", release)
    database = Database(f"sqlite:///{tmp_path / 'rowmill.db'}")
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == journal
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
    database.dispose()
