"""The short way for a single plain row: answered in front of Flask, in a third of the time.

``POST /predict`` with one row is most of what an online service is asked, and Flask spends more on such a
request than the model does. This decides nothing: it answers a request only where the route would answer the
same, and hands on everything that is in any way unusual, refused or broken. Nor does it wait: callers,
references and models must be remembered already, from requests that took the long way.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from api import at_once, metering, noting, request_ids, spreading, strict_json
from api.answering import SCORER, plain_answer
from api.auth import Door
from api.headers import DATA_HEADERS
from jobs.feedback.log import PredictionLog
from jobs.shadowing.offering import Shadows
from jobs.workshop import Workshop
from models.manifest import Manifest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/predict"
ROUTE = f"POST {PATH}"
MAX_BYTES = 64 << 10
# What says that a request is not plain JSON, that its body has no known length, or that the answer needs more
# than usual.
_UNUSUAL = ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING", "HTTP_ORIGIN", "HTTP_EXPECT")
_OTHER_TYPES = ("multipart/", "image/")
_QUERY = re.compile(r"(?:model=([A-Za-z0-9_.@-]*))?")
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class ShortWay:
    """A WSGI application in front of Flask's."""

    def __init__(
        self,
        flask: WSGIApplication,
        door: Door,
        shop: Workshop,
        log: PredictionLog | None,
        shadows: Shadows,
    ) -> None:
        self.flask = flask
        self._door = door
        self._shop = shop
        self._log = log
        self._shadows = shadows
        self._max_bytes = min(MAX_BYTES, shop.settings.max_predict_bytes)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or let Flask answer."""
        if environ["PATH_INFO"] == PATH and environ["REQUEST_METHOD"] == "POST" and self._is_small(environ):
            body = _read(environ)
            try:
                answer = self._answer(environ, body)
            except Exception:  # noqa: BLE001 - it happens again in Flask, which tells the client and the log
                answer = None
            if answer is not None:
                request_id = request_ids.begin(environ.get("HTTP_X_REQUEST_ID", ""))
                return _send(*answer, request_id, start_response)
            environ["wsgi.input"] = io.BytesIO(body)
        return self.flask(environ, start_response)

    def _is_small(self, environ: WSGIEnvironment) -> bool:
        length = environ.get("CONTENT_LENGTH") or ""
        return (
            length.isdecimal()
            and int(length) <= self._max_bytes
            and not environ.get("CONTENT_TYPE", "").startswith(_OTHER_TYPES)
            and not any(name in environ for name in _UNUSUAL)
        )

    def _answer(self, environ: WSGIEnvironment, body: bytes) -> tuple[dict[str, Any], str] | None:
        """The answer, and what scored it."""
        caller = self._door.admit_remembered(environ)
        value = strict_json.parse(body)
        if type(value) is not dict or not {"features"} <= value.keys() <= {"features", "model"}:
            return None
        query, named = _QUERY.fullmatch(environ["QUERY_STRING"]), value.get("model")
        if query is None or not isinstance(named, str | None) or (query[1] and named and query[1] != named):
            return None
        reference = query[1] or named or None
        route = self._shop.catalog.remembered(reference, self._shop.settings.default_model or None)
        if route is None or "features" in route.manifest.signature.names:
            return None
        manifest = spreading.arm_for(route, value["features"], environ)
        if at_once.is_asked() and not _is_light(manifest):
            return None
        model = self._shop.models.loaded(manifest.name, manifest.version)
        if model is None or (answered := plain_answer(model, value["features"])) is None:
            return None
        if self._log is not None:
            answered = noting.noted(self._log, caller.owner, None, manifest, answered)
        if (challenger := route.challenger(manifest)) is not None:
            row, said = value["features"], answered["prediction"]
            self._shadows.offer(route.alias, challenger, [row], [said], len(body))
        environ[metering.ROUTE] = ROUTE
        spreading.note(route, manifest, environ)
        named = {"name": manifest.name, "version": manifest.version}
        return {"model": named, **answered}, model.plain_rows.scorer_name


def _is_light(manifest: Manifest) -> bool:
    """Whether the model and its answer are small enough for a main loop."""
    is_quick = manifest.row_cost_seconds <= at_once.MAX_ROW_SECONDS
    return is_quick and len(manifest.targets[0].classes or ()) <= at_once.MAX_CLASSES


def _read(environ: WSGIEnvironment) -> bytes:
    """The body; what there is of it if it breaks off, which is then found to be too short."""
    try:
        return bytes(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    except Exception:  # noqa: BLE001 - what a server raises at broken framing has no common base
        return b""


def _send(
    answer: dict[str, Any], scorer: str, request_id: str, start_response: StartResponse
) -> Iterable[bytes]:
    body = _encode(answer).encode() + b"\n"
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", request_id),
        (SCORER, scorer),
        *DATA_HEADERS,
    ]
    start_response("200 OK", headers)
    return [body]
