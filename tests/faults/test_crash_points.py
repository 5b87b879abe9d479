"""Every crash point, struck by every fault, at its first and second hit: both jobs end whole."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from base.broker import plain_redis_url
from base.database import Database
from base.settings import Settings
from models.registry import Registry
from rowmill.stack.redis_server import embedded_url, redis_arguments, socket_path
from tests.faults.crash_points import ARCHIVE_POINTS, FAULTS, POINTS, CrashPoint, Fault, Trigger
from tests.faults.sent import Sent, sent_files
from tests.faults.world import World
from tests.waiting import wait_until

# Where it matters what kind of file it is: whoever only moves rows of the database sees no difference.
READING = ("receive: file kept", "plan:", "score:", "finish: parts joined")
# With these a file is handled in a way that no CSV is.
NEWS = {("plan: cuts found", "parquet"), ("score: rows scored", "zip")}


@pytest.fixture(scope="module")
def redis_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("redis")
    (folder / "run").mkdir()
    server = subprocess.Popen(redis_arguments(folder), stdout=subprocess.DEVNULL)
    wait_until(socket_path(folder).exists, "redis-server listens")
    yield embedded_url(folder)
    server.kill()
    server.wait()


@dataclass(frozen=True)
class Template:
    """A data folder with the models, and the files to score with them."""

    data: Path
    sent: dict[str, Sent]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("template")
    data = folder / "data"
    database = Database(Settings(data_dir=data).database_url)
    database.upgrade()
    sent = {one.name: one for one in sent_files(Registry(database, data / "models"), folder)}
    database.dispose()
    return Template(data, sent)


@pytest.fixture
def own_settings(template: Template, redis_of_all: str, tmp_path: Path) -> Settings:
    """A data folder with the models, and an empty Redis."""
    shutil.copytree(template.data, tmp_path / "data")
    redis.Redis.from_url(plain_redis_url(redis_of_all)).flushall()
    return Settings(
        data_dir=tmp_path / "data", redis_url=redis_of_all, lease_seconds=60, retry_seconds=1, max_attempts=5
    )


@dataclass(frozen=True)
class Case:
    """What is struck, by what, at which pass, while files of this kind are scored."""

    point: CrashPoint
    file: str
    fault: Fault
    hit: int

    def __str__(self) -> str:
        return f"{self.point}-{self.file}-{self.fault}-{self.hit}"


def _cases() -> Iterator[Any]:
    """The first SIGKILL at each point is always run; all else is for `make faults`."""
    for point, fault, hit in itertools.product(POINTS, FAULTS, (1, 2)):
        yield _marked(Case(point, "csv", fault, hit), always=(fault, hit) == ("SIGKILL", 1))
    for point, file, fault in itertools.product(POINTS, ("parquet", "zip", "tar.gz"), FAULTS):
        if point.name.startswith(READING):
            always = fault == "SIGKILL" and (point.name, file) in NEWS
            yield _marked(Case(point, file, fault, 1), always=always)
    for point, fault, hit in itertools.product(ARCHIVE_POINTS, FAULTS, (1, 2)):
        yield _marked(Case(point, "tar.gz", fault, hit), always=(fault, hit) == ("SIGKILL", 1))


def _marked(case: Case, *, always: bool) -> Any:
    return pytest.param(case, id=str(case), marks=() if always else pytest.mark.faults)


@pytest.mark.parametrize("case", list(_cases()))
def test_both_jobs_end_whole(case: Case, template: Template, own_settings: Settings) -> None:
    trigger = Trigger(case.point, case.fault, case.hit)
    world = World(own_settings, template.sent[case.file], trigger)
    world.run()
    assert trigger.struck, "the point was never reached"
    world.check()
