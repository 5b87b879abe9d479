"""What a process that does the work of jobs holds: connections, models and the values of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from base.broker import Broker
from base.database import Database
from base.files import Files
from base.settings import Settings
from models.loading import ModelCache
from models.registry import Registry


@dataclass(frozen=True)
class Workshop:
    """Built once a process, after any fork: connections do not survive one."""

    settings: Settings
    database: Database
    files: Files
    broker: Broker
    registry: Registry
    models: ModelCache
    worker: str

    @classmethod
    def open(cls, settings: Settings, worker: str) -> Self:
        """Make the connections; nothing is contacted yet. ``worker`` names this process in leases."""
        database = Database(settings.database_url)
        registry = Registry(database, settings.data_dir / "models")
        return cls(
            settings=settings,
            database=database,
            files=Files(settings.data_dir),
            broker=Broker(settings.redis_url),
            registry=registry,
            models=ModelCache(registry),
            worker=worker,
        )

    def close(self) -> None:
        """Give the connections back."""
        self.broker.close()
        self.database.dispose()
