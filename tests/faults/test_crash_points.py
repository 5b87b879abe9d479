"""Every crash point, struck by every fault, at its first and second hit: both jobs end whole."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
import redis

from base.broker import plain_redis_url
from base.database import Database
from base.settings import Settings
from models.adding import NewVersion
from models.registry import Registry
from rowmill.stack.redis_server import embedded_url, redis_arguments, socket_path
from tests.builders import trained_wine
from tests.faults.crash_points import FAULTS, POINTS, CrashPoint, Fault, Trigger
from tests.faults.world import World
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def redis_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("redis")
    (folder / "run").mkdir()
    server = subprocess.Popen(redis_arguments(folder), stdout=subprocess.DEVNULL)
    wait_until(socket_path(folder).exists, "redis-server listens")
    yield embedded_url(folder)
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the model, and beside it the file that is scored."""
    folder = tmp_path_factory.mktemp("template")
    model, rows = trained_wine(folder)
    data = folder / "data"
    database = Database(Settings(data_dir=data).database_url)
    database.upgrade()
    Registry(database, data / "models").add(NewVersion(name="wine", file=model, sample=rows))
    database.dispose()
    return folder


@pytest.fixture
def own_settings(template: Path, redis_of_all: str, tmp_path: Path) -> Settings:
    """A data folder with the model, and an empty Redis."""
    shutil.copytree(template / "data", tmp_path / "data")
    redis.Redis.from_url(plain_redis_url(redis_of_all)).flushall()
    return Settings(
        data_dir=tmp_path / "data", redis_url=redis_of_all, lease_seconds=60, retry_seconds=1, max_attempts=5
    )


def _cases() -> Iterator[Any]:
    """The first SIGKILL at each point is always run; all else is for `make faults`."""
    for point, fault, hit in itertools.product(POINTS, FAULTS, (1, 2)):
        marks = () if (fault, hit) == ("SIGKILL", 1) else pytest.mark.faults
        yield pytest.param(point, fault, hit, id=f"{point}-{fault}-{hit}", marks=marks)


@pytest.mark.parametrize(("point", "fault", "hit"), list(_cases()))
def test_both_jobs_end_whole(
    point: CrashPoint, fault: Fault, hit: int, template: Path, own_settings: Settings
) -> None:
    trigger = Trigger(point, fault, hit)
    world = World(own_settings, (template / "wine.csv").read_bytes(), trigger)
    world.run()
    assert trigger.struck, "the point was never reached"
    rows = pd.read_csv(template / "wine.csv")
    world.check(list(joblib.load(template / "wine.joblib").predict(rows)))
