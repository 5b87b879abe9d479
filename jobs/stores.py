"""The connections that the work on jobs needs: enough for the caretaker, which never touches a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from base.broker import Broker
from base.database import Database
from base.files import Files
from base.settings import Settings


@dataclass(frozen=True)
class Stores:
    """Built once a process, after any fork: connections do not survive one."""

    settings: Settings
    database: Database
    files: Files
    broker: Broker

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Make the connections; nothing is contacted yet."""
        return cls(
            settings=settings,
            database=Database(settings.database_url),
            files=Files(settings.data_dir),
            broker=Broker(settings.redis_url),
        )

    def close(self) -> None:
        """Give the connections back."""
        self.broker.close()
        self.database.dispose()
