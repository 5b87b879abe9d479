"""What a process that scores holds: the stores, and the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from base.settings import Settings
from jobs.stores import Stores
from models.catalog import Catalog
from models.loading import ModelCache
from models.registry import Registry


@dataclass(frozen=True)
class Workshop(Stores):
    """``worker`` names the process in leases."""

    registry: Registry
    catalog: Catalog
    models: ModelCache
    worker: str

    @classmethod
    def open(cls, settings: Settings, worker: str) -> Self:
        """Make the connections; nothing is contacted, and no model loaded, yet."""
        stores = Stores.connect(settings)
        registry = Registry(stores.database, settings.data_dir / "models")
        return cls(
            settings=stores.settings,
            database=stores.database,
            files=stores.files,
            broker=stores.broker,
            registry=registry,
            catalog=Catalog(registry),
            models=ModelCache(registry),
            worker=worker,
        )
