"""Who answers a request whose alias is split: by its key, or by chance; noted, so that it is counted.

The version is chosen once for a request, however many rows it has: an answer names one version.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import g, request

from api import at_once, metering
from api.context import shadows, workshop
from models.manifest import Manifest
from models.payload import Rows
from models.routing import Route
from models.traffic import place_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

KEY_HEADER = "X-Rowmill-Key"
_KEY = "HTTP_X_ROWMILL_KEY"
_CHANCE = "rowmill.chance"
KEY_PARAMETER: dict[str, Any] = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "whoever sends the same key is answered by the same version of a split alias",
}


def routed(reference: str | None) -> Route:
    """What the reference of the running request means, or the default; raises as ``Registry.route``."""
    shop = workshop()
    route = shop.catalog.route(reference or None, shop.settings.default_model or None)
    metering.noted(route.manifest)
    return route


def chosen(route: Route, sent: Rows) -> Manifest:
    """The version that answers the running request."""
    first = sent.rows[0] if len(sent.rows) else None
    manifest = arm_for(route, first, request.environ)
    note(route, manifest, request.environ)
    return manifest


def arm_for(route: Route, row: Any, environ: WSGIEnvironment) -> Manifest:
    """The version for a request that begins with this row. Raises ``NotAtOnce`` where chance decides.

    A request draws once, or versions that take the long way would be drawn again, and so too seldom. The main
    loop may hand a request on, which then is a new one: it leaves the draw to a thread.
    """
    if not route.arms:
        return route.manifest
    if key := environ.get(_KEY) or route.key_in(row):
        return route.arm(place_of(route.alias, key))
    if at_once.is_asked():
        raise at_once.NotAtOnce
    return route.arm(environ.setdefault(_CHANCE, random.random()))  # noqa: S311 - nobody gains by guessing


def copied(route: Route, manifest: Manifest, sent: Rows, answers: Sequence[Mapping[str, Any]]) -> None:
    """Leave a copy of the running request for the challenger, if there is one."""
    if (challenger := route.challenger(manifest)) is not None:
        predictions = [answer["prediction"] for answer in answers]
        shadows().offer(route.alias, challenger, sent.rows, predictions, g.body_bytes)


def note(route: Route, manifest: Manifest, environ: WSGIEnvironment) -> None:
    """Count the request under the version, and under the alias if that is split."""
    environ[metering.MODEL] = manifest.reference
    if route.arms:
        environ[metering.SPLIT] = route.alias
