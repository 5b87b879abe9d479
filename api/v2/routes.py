"""The routes of the Open Inference Protocol V2. Refusals have the protocol's form (`protocol_errors`)."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, request

from api import errors, health, metering, spreading, uploads
from api.answering import answer
from api.context import workshop
from api.small_bodies import read_small
from api.v2 import docs, metadata
from api.v2.body import HEADER, InferRequest, parse
from api.v2.outputs import infer_response, wanted_outputs
from api.v2.rows import rows_of
from api.v2.tensors import read_tensors
from models.manifest import Manifest
from models.routing import Route

blueprint = APIBlueprint("v2", __name__, tag="Open Inference Protocol")


@blueprint.get("/v2", strict_slashes=False)
@blueprint.doc(summary="V2: the server", responses=docs.SERVER)
def server() -> Response:
    """Name, version, and the extensions that are spoken."""
    return jsonify(metadata.server(current_app.version))  # type: ignore[attr-defined]  # APIFlask has it


@blueprint.get("/v2/health/live")
@blueprint.doc(summary="V2: is the server alive?", responses=docs.LIVE)
def live() -> Response:
    """It is, if it answers."""
    return jsonify({"live": True})


@blueprint.get("/v2/health/ready")
@blueprint.doc(summary="V2: can the server predict?", responses=docs.READY)
def ready() -> Response:
    """Whether this process can work; what `/readyz` says."""
    if text := health.trouble():
        return errors.problem(503, "not_ready", text)
    return jsonify({"ready": True})


@blueprint.get("/v2/models/<name>")
@blueprint.get("/v2/models/<name>/versions/<version>", endpoint="version")
@blueprint.doc(summary="V2: describe a model", responses=docs.MODEL)
def model(name: str, version: str | None = None) -> Response:
    """Inputs and outputs. A name is `wine`, `wine@3` or `wine@production`; a version may be an alias."""
    manifest = _resolve(name, version)
    versions = [other.version for other in workshop().registry.list(manifest.name)]
    return jsonify(metadata.model(manifest, versions))


@blueprint.get("/v2/models/<name>/ready")
@blueprint.get("/v2/models/<name>/versions/<version>/ready", endpoint="version_ready")
@blueprint.doc(summary="V2: can a model predict?", responses=docs.MODEL_READY)
def model_ready(name: str, version: str | None = None) -> Response:
    """The model is loaded for it, so that the first prediction need not wait."""
    manifest = _resolve(name, version)
    workshop().models.get(manifest.name, manifest.version)
    return jsonify({"name": manifest.name, "ready": True})


@blueprint.post("/v2/models/<name>/infer")
@blueprint.post("/v2/models/<name>/versions/<version>/infer", endpoint="version_infer")
@blueprint.doc(summary="V2: predict", **docs.INFER)
def infer(name: str, version: str | None = None) -> Response:
    """One tensor for each column of the model, or one tensor of all columns; one row for each prediction.

    Data stand in the JSON or behind it, in binary. The checks and limits are those of `POST /predict`.
    """
    settings = workshop().settings
    with uploads.drained(request):
        route = spreading.routed(_reference(name, version))
        sent = parse(read_small(request, settings.max_predict_bytes), request.headers.get(HEADER))
    return _answered(route, sent, settings.max_predict_rows)


def _answered(route: Route, sent: InferRequest, max_rows: int) -> Response:
    wanted_outputs(route.manifest, sent)  # what cannot be answered is refused before the rows are read
    rows = rows_of(route.manifest, read_tensors(sent), max_rows)
    manifest = spreading.chosen(route, rows)
    wanted = wanted_outputs(manifest, sent)
    found = answer(manifest, rows)
    spreading.copied(route, manifest, rows, found.answers)
    return infer_response(manifest, found, wanted, sent.id)


def _resolve(name: str, version: str | None) -> Manifest:
    return metering.noted(workshop().registry.resolve(_reference(name, version)))


def _reference(name: str, version: str | None) -> str:
    return name if version is None else f"{name}@{version}"
