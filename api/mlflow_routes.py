"""MLflow's scoring protocol: what ``mlflow models serve`` answers, for the clients that speak it."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, request

from api import mlflow_bodies, mlflow_docs, spreading, uploads
from api.answering import answer
from api.context import workshop
from api.small_bodies import read_small
from jobs.errors import Problem

blueprint = APIBlueprint("mlflow", __name__, tag="MLflow")


@blueprint.post("/invocations")
@blueprint.doc(summary="MLflow: predict", **mlflow_docs.INVOCATIONS)
def invocations() -> Response:
    """What `predict` answers, and nothing else: a label or a number a row, or an object by target.

    `?model=wine@3` names the model; without it the default model answers. The checks and limits are those of
    `POST /predict`.
    """
    settings = workshop().settings
    with uploads.drained(request):
        route = spreading.routed(_model_named())
        body = read_small(request, settings.max_predict_bytes)
    charset = request.mimetype_params.get("charset", "utf-8")
    rows = mlflow_bodies.rows_of(route.manifest, request.mimetype, charset, body, settings.max_predict_rows)
    manifest = spreading.chosen(route, rows)
    found = answer(manifest, rows)
    spreading.copied(route, manifest, rows, found.answers)
    predictions = {"predictions": [each["prediction"] for each in found.answers]}
    return jsonify(predictions | ({"warnings": found.warnings} if found.warnings else {}))


@blueprint.get("/ping")
@blueprint.doc(summary="MLflow: is there a model?", **mlflow_docs.PING)
def ping() -> Response:
    """Whether `/invocations` has a model to answer with."""
    if workshop().registry.is_empty():
        raise Problem("no_models", "There are no models yet. Add one: rowmill models add NAME FILE.")
    return Response("", mimetype="application/json")


@blueprint.get("/version")
@blueprint.doc(summary="MLflow: the version", **mlflow_docs.VERSION)
def version() -> Response:
    """Rowmill's version."""
    return Response(current_app.version, mimetype="text/plain")  # type: ignore[attr-defined]  # APIFlask's


def _model_named() -> str | None:
    for name in request.args:
        if name != "model":
            raise Problem("unknown_option", f"POST /invocations has no option {name[:100]!r}, only model.")
    named = request.args.getlist("model")
    if len(named) > 1:
        raise Problem("bad_option", "The option model is given more than once.")
    return named[0] if named and named[0] else None
