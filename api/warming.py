"""Loading the models that will be asked for, as soon as a process serves; nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from jobs.workshop import Workshop
from models.errors import ModelError
from models.manifest import Manifest
from models.registry import PRODUCTION
from models.traffic import Traffic

log = structlog.get_logger()


def start(app: Flask) -> None:
    """Begin, in a thread of its own; a request for a model that is being loaded waits for that one only."""
    shop = cast(Workshop, app.extensions["workshop"])
    threading.Thread(target=load_likely, args=(shop,), name="warming", daemon=True).start()


def load_likely(shop: Workshop) -> None:
    """Load the model of requests that name none, then those in production, as long as there is room."""
    try:
        for manifest in _likely(shop):
            if shop.models.has_room_for(manifest):
                _load(shop, manifest)
    except SQLAlchemyError as error:
        log.warning("no model loaded ahead", reason=str(error))


def _load(shop: Workshop, manifest: Manifest) -> None:
    try:
        shop.models.get(manifest.name, manifest.version)
    except (ModelError, OSError, MemoryError) as error:
        log.warning("model not loaded ahead", model=manifest.reference, reason=str(error))


def _likely(shop: Workshop) -> Iterator[Manifest]:
    with suppress(ModelError):  # there is none, or there are several and none is the default
        yield shop.registry.resolve(None, shop.settings.default_model or None)
    traffic = shop.registry.traffic()
    for name, aliases in shop.registry.aliases().items():
        if PRODUCTION in aliases:
            yield shop.registry.get(name, aliases[PRODUCTION])
            for arm in traffic.get(name, {}).get(PRODUCTION, Traffic()).arms:
                yield shop.registry.get(name, arm.version)
