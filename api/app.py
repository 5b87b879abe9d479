"""Builds the Flask app: settings, connections, blueprints, and what every answer carries."""

from __future__ import annotations

from apiflask import APIFlask
from flask import Response, g, request

from api import (
    again_routes,
    auth,
    bare_requests,
    cors,
    documents,
    errors,
    feedback_routes,
    health,
    job_routes,
    limits,
    link_routes,
    metering,
    mlflow_routes,
    model_routes,
    openapi,
    pages,
    predict_routes,
    proxies,
    request_ids,
    result_routes,
    stats_routes,
)
from api.at_once import ByThread
from api.auth import Door
from api.headers import DATA_HEADERS, SECURITY_HEADERS
from api.result_cache import ResultCache
from api.short_way import ShortWay
from api.v2 import routes as v2_routes
from base import logs
from base.meter.meter import Meter
from base.settings import Settings
from jobs.errors import Problem
from jobs.feedback.log import PredictionLog
from jobs.shadowing.offering import Shadows
from jobs.workshop import Workshop


def create_app() -> APIFlask:
    """A WSGI app on the settings of the environment; connections are made when they are first used."""
    settings = Settings()
    logs.configure(settings.log_format, settings.log_level, request_ids.add_to_log)
    app = APIFlask(__name__, title="Rowmill", version="0.1.0", docs_path=None, spec_path=None)
    openapi.register(app, asks_for_keys=settings.asks_for_keys)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    shop = app.extensions["workshop"] = Workshop.open(settings, worker="api", single_rows=True)
    app.extensions["result_cache"] = ResultCache(
        settings.predict_cache_entries, settings.predict_cache_bytes, settings.predict_cache_seconds
    )
    log = app.extensions["prediction_log"] = (
        PredictionLog(shop.database) if settings.log_predictions else None
    )
    meter = Meter(settings.data_dir)
    shadows = app.extensions["shadows"] = Shadows(meter)
    door = Door(settings)
    app.before_request(_name_request)
    app.before_request(_refuse_unreadable)
    errors.register(app)
    auth.register(app, door)
    cors.register(app, settings.allowed_origins)
    limits.register(app, settings)
    bare_requests.register(app)
    app.after_request(_finish_response)
    app.wsgi_app = ByThread(app.wsgi_app)  # type: ignore[method-assign]
    if not limits.hold_predictions(settings):
        app.wsgi_app = ShortWay(app.wsgi_app, door, shop, log, shadows)  # type: ignore[method-assign]
    proxies.register(app, settings.trusted_proxies)
    for room in (
        health,
        job_routes,
        again_routes,
        result_routes,
        link_routes,
        predict_routes,
        mlflow_routes,
        v2_routes,
        model_routes,
        feedback_routes,
        pages,
        documents,
        stats_routes,
    ):
        app.register_blueprint(room.blueprint)
    metering.register(app, meter)
    return app


def _name_request() -> None:
    g.request_id = request_ids.begin(request.environ.get("HTTP_X_REQUEST_ID", ""))


def _refuse_unreadable() -> None:
    """An address that is no text; Postgres has none with a NUL in it, so none is looked for."""
    if "\0" in request.path or b"%00" in request.query_string:
        raise Problem("bad_request", "The address holds a NUL byte (%00). Leave it out.")
    if not (request.query_string.isascii() and request.environ["QUERY_STRING"].isprintable()):
        _refuse_odd_query(request.query_string)


def _refuse_odd_query(query: bytes) -> None:
    try:
        is_text = query.decode().isprintable()
    except UnicodeDecodeError:
        is_text = False
    if not is_text:
        raise Problem("bad_request", "What follows the ? is no text. Write odd bytes as % and two digits.")


def _finish_response(response: Response) -> Response:
    if response.status_code == 412 and response.mimetype != "application/problem+json":
        response.close()  # Werkzeug leaves the answer as it is, and only changes its status
        response = errors.problem(
            412, "precondition_failed", "The file is not the one that the request names."
        )
    if request.method in ("GET", "HEAD"):  # no cache keeps answers to other methods
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Request-ID"] = g.request_id
    response.headers.extend(SECURITY_HEADERS if response.mimetype == "text/html" else DATA_HEADERS)
    return response
