"""Every request as the meter counts it: to its last byte, under its route and, once it is found, its model.

Routes are the rules of the app, never what a client sent, and a model counts only after it was resolved. So
nobody makes series by asking for what is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from flask import Flask, request

from api.at_once import NotAtOnce
from base.meter import spread
from base.meter.meter import Meter
from base.meter.recorder import OTHER
from models.manifest import Manifest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What is noted of a request, in its WSGI environment. Without ROUTE it is the rule that Flask found.
ROUTE = "rowmill.route"
MODEL = "rowmill.model"
SPLIT = "rowmill.split"  # the alias whose requests are spread over versions
_CACHE_HIT = "rowmill.cache_hit"


def register(app: Flask, meter: Meter) -> None:
    """Count all requests of ``app``. Comes last: what wraps the app after this is not in their time."""
    app.extensions["meter"] = meter
    app.wsgi_app = Metered(app.wsgi_app, meter)  # type: ignore[method-assign]


def noted(manifest: Manifest) -> Manifest:
    """The version that a request is for, which is counted under it."""
    request.environ[MODEL] = manifest.reference
    return manifest


def note_cache(hit: bool) -> None:
    """Count the request as one that the result cache answered, or could not."""
    request.environ[_CACHE_HIT] = hit


class Metered:
    """A WSGI app whose requests are counted."""

    def __init__(
        self, app: WSGIApplication, meter: Meter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app = app
        self.meter = meter
        self.clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = _Answer(self, environ, start_response)
        try:
            body = self.app(environ, answer.start)
        except NotAtOnce:
            raise  # it comes again
        except BaseException:
            answer.end(broken=True)
            raise
        if type(body) is environ.get("wsgi.file_wrapper"):  # the server sends such a file by itself
            body.close = _then(getattr(body, "close", None), answer.end)  # type: ignore[attr-defined]
            return body
        return answer.of(body)


def _then(first: Callable[[], object] | None, second: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        try:
            if first is not None:
                first()
        finally:
            second()

    return both


class _Answer:
    """One answer on its way out."""

    def __init__(self, metered: Metered, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self._metered = metered
        self._begun: float | None = metered.clock()
        self._environ = environ
        self._start_response = start_response
        self._status = 500
        self._route = OTHER
        self._body: Iterable[bytes] = ()
        self._iterator: Iterator[bytes] = iter(())

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self._status = int(status[:3])
        self._route = _route(self._environ)  # now, for Flask lets go of its request before the body is sent
        return self._start_response(status, headers, exc_info)

    def of(self, body: Iterable[bytes]) -> Self:
        self._body, self._iterator = body, iter(body)
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except BaseException:
            self.end(broken=True)
            raise

    def close(self) -> None:
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                close()
        finally:
            self.end()

    def end(self, *, broken: bool = False) -> None:
        """Count the answer, once."""
        if self._begun is None:
            return
        now = self._metered.clock()
        seconds, self._begun = now - self._begun, None
        environ = self._environ
        status = 500 if broken else self._status
        hit = environ.get(_CACHE_HIT)
        meter = self._metered.meter
        model = environ.get(MODEL)
        meter.record(self._route, model, seconds, status, hit=hit, now=now)
        if (alias := environ.get(SPLIT)) is not None:
            meter.record(spread.series("split", alias), model, seconds, status, hit=None, now=now)


def _route(environ: WSGIEnvironment) -> str:
    """Method and rule; ``OTHER`` for what no route is for."""
    if noted := environ.get(ROUTE):
        return str(noted)
    asked = environ.get("werkzeug.request")
    rule = None if asked is None else asked.url_rule
    method = environ["REQUEST_METHOD"]
    if rule is None or method == "OPTIONS":
        return OTHER
    return f"{'GET' if method == 'HEAD' else method} {rule.rule}"
