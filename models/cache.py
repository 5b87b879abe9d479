"""The models that a process holds, bounded by what they take in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Protocol

from models.loading import LoadedModel
from models.manifest import Manifest
from models.warming import warm_up

Key = tuple[str, int]


class VersionSource(Protocol):
    """Where a cache gets a version from: the registry."""

    def get(self, name: str, version: int) -> Manifest: ...

    def load(self, name: str, version: int) -> LoadedModel: ...


class ModelCache:
    """Each version is loaded once, by whoever asks first; the longest unused make room before another comes.

    Sizes are those that were measured when the versions were added; a version with a compiled scorer grows
    when its estimator is needed all the same. One model is always held, however large.
    Whoever still scores with a model that had to go keeps it until done.
    """

    def __init__(self, source: VersionSource, limit_bytes: int, *, single_rows: bool = False) -> None:
        """``single_rows`` says that this process answers single rows, and should be prepared for them."""
        self._source = source
        self._limit_bytes = limit_bytes
        self._single_rows = single_rows
        self._lock = threading.Lock()
        # one for each version that was ever asked for: taken away from under those who wait for it, two would
        # load the same version at once
        self._turns: dict[Key, threading.Lock] = {}
        self._models: OrderedDict[Key, LoadedModel] = OrderedDict()
        self._bytes: dict[Key, int] = {}  # of the loaded ones, and of those that are being loaded

    def get(self, name: str, version: int) -> LoadedModel:
        """The loaded version; others stay available while it is loaded. Raises what the source raises."""
        key = (name, version)
        with self._lock:
            if (model := self._held(key)) is not None:
                return model
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if (model := self._held(key)) is not None:
                    return model
            return self._load(key)

    def loaded(self, name: str, version: int) -> LoadedModel | None:
        """The version if it is loaded."""
        with self._lock:
            return self._held((name, version))

    def has_room_for(self, manifest: Manifest) -> bool:
        """Whether it is loaded, or could be without another having to go."""
        with self._lock:
            key = (manifest.name, manifest.version)
            return key in self._bytes or self._total() + manifest.loaded_bytes <= self._limit_bytes

    def _held(self, key: Key) -> LoadedModel | None:
        model = self._models.get(key)
        if model is not None:
            self._models.move_to_end(key)
        return model

    def _load(self, key: Key) -> LoadedModel:
        manifest = self._source.get(*key)
        with self._lock:
            self._make_room(key, manifest.loaded_bytes)
        try:
            model = self._source.load(*key)
        except BaseException:
            with self._lock:
                del self._bytes[key]
            raise
        if model.has_estimator:  # even if it has a scorer, which may be of no use on this machine
            self._grow(key, max(manifest.loaded_bytes, manifest.unpickled_bytes))
        else:
            everything = manifest.loaded_bytes + manifest.unpickled_bytes
            model.before_reading = lambda: self._grow(key, everything)
        warm_up(model, single_rows=self._single_rows)
        with self._lock:
            self._models[key] = model
        return model

    def _grow(self, key: Key, size: int) -> None:
        """A model that had to go is counted no more, whatever whoever still holds it does with it."""
        with self._lock:
            if key in self._bytes:
                self._make_room(key, size)

    def _make_room(self, key: Key, size: int) -> None:
        """Count ``size`` bytes for a version, and let others go for it. With the lock held."""
        self._bytes[key] = 0
        others = [other for other in self._models if other != key]
        while others and self._total() + size > self._limit_bytes:
            oldest = others.pop(0)
            del self._models[oldest], self._bytes[oldest]
        self._bytes[key] = size

    def _total(self) -> int:
        return sum(self._bytes.values())
