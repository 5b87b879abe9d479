"""What models there are and what each takes and answers. Read only: no HTTP route accepts a model file."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, url_for

from api.context import workshop
from models.errors import ModelError
from models.manifest import SKLEARN, Manifest, ScorerRecord, output_schema
from models.names import parse
from models.registry import PRODUCTION
from models.traffic import Traffic

blueprint = APIBlueprint("models", __name__, tag="Models")


@blueprint.get("/models")
@blueprint.doc(summary="List models", responses={200: "All models by name"})
def index() -> Response:
    """Each with its versions and aliases, and the version that its plain name means now."""
    return jsonify({"models": summaries()})


@blueprint.get("/models/<reference>")
@blueprint.doc(
    summary="Describe a model",
    responses={200: "The model", 400: "Not a reference", 404: "There is no such model, version or alias"},
)
def show(reference: str) -> Response:
    """`wine` is the production version, else the latest; `wine@3` a version; `wine@production` an alias.

    A retired version is described if it is named by its number, and says so under `retired`.
    All of it was recorded when the version was added: signature, classes, parameters, libraries, an example
    row, cost of a row, figures on a holdout, and feature importances or coefficients, where the estimator
    has them (the 500 that weigh most; of many classes or outputs 5,000 in all).
    """
    shop = workshop()
    manifest = shop.registry.recall(reference)
    retirement = shop.registry.retirement(manifest.name, manifest.version)
    retired = retirement.document() if retirement else None
    versions = [other.version for other in shop.registry.list(manifest.name)]
    aliases = shop.registry.aliases().get(manifest.name, {})
    traffic = shop.registry.traffic().get(manifest.name, {})
    places = _places(manifest, versions, aliases) | {"traffic": _spread(traffic)}
    return jsonify({**_described(manifest), "retired": retired, **_weights(manifest), **places})


@blueprint.get("/models/<reference>/history")
@blueprint.doc(
    summary="What happened to a model",
    responses={200: "All events", 400: "Not a name", 404: "There is no such model or alias"},
)
def history(reference: str) -> Response:
    """`wine`: its versions and aliases, oldest first: when, by whom and why; `wine@production`: one alias."""
    name, version, alias = parse(reference)
    if version is not None:
        raise ModelError("invalid_reference", f"{reference} is a version: ask for {name}, or for an alias.")
    return jsonify({"history": [event.document() for event in workshop().registry.history(name, alias)]})


def summaries() -> list[dict[str, Any]]:
    """One entry a model, about the version that its plain name means."""
    registry = workshop().registry
    aliases, traffic = registry.aliases(), registry.traffic()
    by_name: dict[str, dict[int, Manifest]] = {}
    for manifest in registry.list():
        by_name.setdefault(manifest.name, {})[manifest.version] = manifest
    return [
        _summary(versions, aliases.get(name, {}), traffic.get(name, {})) for name, versions in by_name.items()
    ]


def _summary(
    versions: dict[int, Manifest], aliases: dict[str, int], traffic: dict[str, Traffic]
) -> dict[str, Any]:
    current = versions.get(aliases.get(PRODUCTION, max(versions))) or versions[max(versions)]
    signature = current.signature
    return {
        "name": current.name,
        "version": current.version,
        "task": current.task,
        "estimator": current.estimator,
        "input": signature.kind,
        "columns": list(signature.names),
        "image": signature.image.model_dump(mode="json") if signature.image else None,
        "classes": _classes(current),
        "metrics": current.evaluation.metrics if current.evaluation else None,
        "created_at": current.created_at,
        "versions": list(versions),
        "aliases": aliases,
        "traffic": _spread(traffic),
        "links": {"self": url_for("models.show", reference=current.name)},
    }


def _described(manifest: Manifest) -> dict[str, Any]:
    recorded = manifest.model_dump(mode="json")
    kept = ("name", "version", "sha256", "created_at", "task", "estimator", "signature", "targets")
    more = ("parameters", "libraries", "example", "row_cost_seconds", "memory_bytes")
    told = ("labels", "mlflow", "meta", "revision")
    outputs = [{"name": field.name, "type": str(field.type)} for field in output_schema(manifest)]
    return {
        **{name: recorded[name] for name in kept},
        "classes": _classes(manifest),
        "scorer": _scorer(manifest),
        "has_probabilities": manifest.has_probabilities,
        "evaluation": recorded["evaluation"],
        "outputs": outputs,
        **{name: recorded[name] for name in (*more, *told)},
        "data": {"file": manifest.data_file, "sha256": manifest.data_sha256} if manifest.data_file else None,
    }


def _scorer(manifest: Manifest) -> dict[str, Any]:
    """What scores files, what scores single rows, and why."""
    record = manifest.scorer or ScorerRecord(reason="added before there were compiled scorers")
    found = record.model_dump(mode="json", exclude={"files", "labels_from_ties", "near_tie", "memory_bytes"})
    return {"files": manifest.scored_by, "rows": record.kind or SKLEARN, **found}


def _weights(manifest: Manifest) -> dict[str, Any]:
    """Importances or coefficients as recorded: to read about a model means no waiting until it is loaded."""
    nothing: dict[str, Any] = {"importances": None, "coefficients": None, "intercept": None, "warnings": []}
    if manifest.weights is None:
        said = f"{manifest.reference} was added before importances and coefficients were kept; add it again."
        return nothing | {"warnings": [said]}
    return nothing | manifest.weights


def _places(manifest: Manifest, versions: list[int], aliases: dict[str, int]) -> dict[str, Any]:
    reference = manifest.reference
    return {
        "versions": versions,
        "aliases": aliases,
        "links": {
            "self": url_for("models.show", reference=reference),
            "history": url_for("models.history", reference=manifest.name),
            "predict": url_for("predict.predict", model=reference),
            "submit": url_for("jobs.submit", model=reference),
            "jobs": url_for("jobs.index", model=reference),
        },
    }


def _spread(traffic: dict[str, Traffic]) -> dict[str, Any]:
    """By alias: the versions that share its single predictions, and the challenger that scores copies."""
    return {alias: each.document() for alias, each in traffic.items()}


def _classes(manifest: Manifest) -> Any:
    """The labels in the order of the probabilities; by target if there are several."""
    if not any(target.classes for target in manifest.targets):
        return None
    if len(manifest.targets) == 1:
        return manifest.targets[0].classes
    return {str(target.name): target.classes for target in manifest.targets}
