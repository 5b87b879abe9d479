"""What a process that scores holds: the stores, and the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from base.memory import share_for_models
from base.settings import Settings
from jobs.stores import Stores
from models.cache import ModelCache
from models.catalog import Catalog
from models.registry import Registry


@dataclass(frozen=True)
class Workshop(Stores):
    """``worker`` names the process in leases."""

    registry: Registry
    catalog: Catalog
    models: ModelCache
    worker: str

    @classmethod
    def open(cls, settings: Settings, worker: str, *, single_rows: bool = False) -> Self:
        """Make the connections; nothing is contacted, and no model loaded, yet.

        ``single_rows`` says that the process answers single rows.
        """
        stores = Stores.connect(settings)
        registry = Registry(stores.database, settings.data_dir / "models")
        return cls(
            settings=stores.settings,
            database=stores.database,
            files=stores.files,
            broker=stores.broker,
            registry=registry,
            catalog=Catalog(registry),
            models=ModelCache(registry, model_cache_bytes(settings), single_rows=single_rows),
            worker=worker,
        )


def model_cache_bytes(settings: Settings) -> int:
    """What a process may hold in models."""
    return settings.model_cache_bytes or share_for_models(settings.workers)
