"""The checks of `rowmill doctor`: what a stack needs, whether it is there, and how to mend it if not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass

import httpx
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from base.database import Database
from base.settings import Settings
from base.urls import without_password
from jobs.reading import count_live_workers, last_tick
from models.errors import ModelError
from models.registry import Registry
from rowmill.stack.checks import check_redis, listen, prepare_folder
from rowmill.stack.keys import count_keys
from rowmill.stack.problem import StackProblem
from rowmill.stack.redis_server import embedded_url, socket_path

START_ONE = "Start a stack with `rowmill up`"
HTTP_SECONDS = 3
SILENT_TICKS = 6


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; ``detail`` is what was found, and what to do if that is not ``ok``."""

    check: str
    ok: bool
    detail: str


def examine(settings: Settings, names: Collection[str] = ()) -> list[Finding]:
    """Make the checks with these names, or all of ``CHECKS``, in their order."""
    try:
        database = Database(settings.database_url)
    except (SQLAlchemyError, ImportError) as error:  # not a URL, or one of a driver that is not installed
        return [Finding("database", False, _database_message(settings, error))]
    try:
        return [_finding(name, settings, database) for name in CHECKS if not names or name in names]
    finally:
        database.dispose()


def _finding(name: str, settings: Settings, database: Database) -> Finding:
    try:
        return Finding(name, True, CHECKS[name](settings, database))
    except StackProblem as problem:
        return Finding(name, False, str(problem))
    except SQLAlchemyError as error:
        return Finding(name, False, _database_message(settings, error))


def _folder(settings: Settings, _database: Database) -> str:
    prepare_folder(settings.data_dir)
    free = shutil.disk_usage(settings.data_dir).free
    if free < settings.min_free_bytes:
        raise StackProblem(
            f"disk_low: {free >> 20} MiB are free for {settings.data_dir}; below "
            f"{settings.min_free_bytes >> 20} MiB uploads are refused, and work that finds no room waits. "
            "Free some space, delete jobs, or lower ROWMILL_MIN_FREE_BYTES."
        )
    return f"{settings.data_dir}, {free / (1 << 30):.1f} GiB free"


def _redis(settings: Settings, _database: Database) -> str:
    own = settings.redis_url == embedded_url(settings.data_dir)
    if own and not socket_path(settings.data_dir).exists():
        raise StackProblem(f"No Redis runs in {settings.data_dir}. {START_ONE}, or set ROWMILL_REDIS_URL.")
    check_redis(settings.redis_url)
    return without_password(settings.redis_url)


def _writes(settings: Settings, database: Database) -> str:
    with database.writing() as connection:
        connection.execute(text("UPDATE ticks SET number = number WHERE id = 0"))
    return without_password(settings.database_url)


def _worker(settings: Settings, database: Database) -> str:
    count = count_live_workers(database, settings.lease_seconds)
    if not count:
        raise StackProblem(f"No scoring process is alive. {START_ONE}, or add one: celery -A workers worker")
    return f"{count} scoring processes"


def _caretaker(settings: Settings, database: Database) -> str:
    silent = last_tick(database)
    if silent is None or silent > SILENT_TICKS * settings.caretaker_seconds:
        raise StackProblem(f"No caretaker is alive. {START_ONE}, or add one: python -m workers.caretaker")
    return f"last seen {silent:.0f} s ago"


def _models(settings: Settings, database: Database) -> str:
    registry = Registry(database, settings.data_dir / "models")
    manifests = registry.list()
    for manifest in manifests:
        try:
            registry.load(manifest.name, manifest.version)
        except ModelError as error:
            raise StackProblem(f"{manifest.name}@{manifest.version} does not load. {error}") from error
    if not manifests:
        return "none yet: rowmill models add NAME FILE --sample FILE"
    return ", ".join(f"{manifest.name}@{manifest.version}" for manifest in manifests)


def _keys(settings: Settings, database: Database) -> str:
    if not settings.asks_for_keys:
        if settings.trusted_proxies:
            raise StackProblem(
                f"A proxy lets others in (ROWMILL_TRUSTED_PROXIES={settings.trusted_proxies}), and nobody is "
                "asked for a key. Set ROWMILL_REQUIRE_KEYS=1, unless the proxy asks who they are."
            )
        return f"not asked for on {settings.host} (ROWMILL_REQUIRE_KEYS)"
    return f"asked for; {count_keys(settings, database)} let somebody in"


def _port(settings: Settings, _database: Database) -> str:
    url = f"http://{settings.host}:{settings.port}"
    try:
        if "model_loaded" in httpx.get(f"{url}/healthz", timeout=HTTP_SECONDS).text:
            return f"Rowmill answers at {url}"
    except httpx.HTTPError:
        pass  # nothing there, or something else: whether it is free tells the two apart
    with listen(settings.host, settings.port, "ROWMILL_PORT"):
        return f"{settings.port} is free"


def _database_message(settings: Settings, error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return (
        f"The database at {without_password(settings.database_url)} cannot be used ({reason}). "
        "Bring it up to date with `rowmill upgrade`, or correct ROWMILL_DATABASE_URL."
    )


CHECKS: dict[str, Callable[[Settings, Database], str]] = {
    "folder": _folder,
    "redis": _redis,
    "database": _writes,
    "worker": _worker,
    "caretaker": _caretaker,
    "models": _models,
    "keys": _keys,
    "port": _port,
}
