"""What a person reads about versions of models, as pure functions of their manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from base.times import rfc3339
from models.gate import Evaluation, shown
from rowmill.cli import scorer_options
from rowmill.cli.texts import table

if TYPE_CHECKING:
    from models.manifest import ColumnSpec, Manifest, MlflowOrigin, Signature, Target
    from models.registry.retiring import Retirement
    from models.traffic import Traffic


def pointing_at(manifest: Manifest, aliases: dict[str, dict[str, int]]) -> list[str]:
    """The aliases of a version, of those that `Registry.aliases` gave."""
    return [name for name, version in aliases.get(manifest.name, {}).items() if version == manifest.version]


def summary(manifest: Manifest) -> str:
    """What was added, on one line."""
    name = manifest.estimator.rpartition(".")[2]
    return f"added {manifest.reference}: {name}, {_input(manifest.signature)} -> {_output(manifest)}"


def _input(signature: Signature) -> str:
    if signature.image:
        return f"images {signature.image}"
    names = signature.names
    if signature.kind == "text":
        return f"texts (column {names[0]})"
    return f"{len(names)} columns ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"


def _output(manifest: Manifest) -> str:
    return "; ".join(_target(target) for target in manifest.targets)


def _target(target: Target) -> str:
    name = f"{target.name}: " if target.name else ""
    if target.classes is None:
        return f"{name}{target.label_type}"
    shown = ", ".join(str(label) for label in target.classes[:6])
    return f"{name}{len(target.classes)} classes ({shown}{', …' if len(target.classes) > 6 else ''})"


def description(
    manifest: Manifest,
    aliases: Sequence[str],
    traffic: Mapping[str, Traffic],
    retirement: Retirement | None,
) -> str:
    """All that is known about a version, for `rowmill models show`."""
    lines = {
        "version": manifest.reference,
        "aliases": ", ".join(aliases),
        "traffic": "; ".join(f"{alias}: {each}" for alias, each in traffic.items()),
        "retired": _retired(retirement) if retirement else "",
        "estimator": f"{manifest.estimator} ({manifest.task})",
        "input": _input(manifest.signature),
        "output": _output(manifest) + ("" if manifest.has_probabilities else ", no probabilities"),
        "file": f"{manifest.artefact.source}, {manifest.artefact.bytes:,} bytes",
        "sha256": manifest.sha256,
        "code": ", ".join(manifest.code.files) if manifest.code else "",
        "added": manifest.created_at,
        "libraries": ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()),
        "scorer": scorer_options.described(manifest.scorer),
        "row cost": _cost(manifest),
        "memory": f"{manifest.loaded_bytes:,} bytes",
        "revision": manifest.revision or "",
        "data": f"{manifest.data_file} {manifest.data_sha256}" if manifest.data_sha256 else "",
        "measured": _measured(manifest.evaluation) if manifest.evaluation else "",
        "notes": ", ".join(f"{key}={value}" for key, value in manifest.meta.items()),
        "trusted": ", ".join(_trusted(manifest)),
        **(_mlflow(manifest.mlflow) if manifest.mlflow else {}),
    }
    text = "\n".join(f"{name:<11}{value}" for name, value in lines.items() if value)
    if manifest.signature.kind != "table":
        return text
    columns = [("COLUMN", "TYPE", "SEEN", "UNUSUAL", "REFUSES"), *map(_column, manifest.signature.columns)]
    return f"{text}\n\n{table(columns)}"


def _measured(evaluation: Evaluation) -> str:
    figures = [f"{name} {shown(value)}" for name, value in evaluation.metrics.items() if value is not None]
    return f"{', '.join(figures)} on {evaluation.rows:,} rows of {evaluation.holdout}"


def _trusted(manifest: Manifest) -> Sequence[str]:
    files = (manifest.artefact, manifest.preprocessor) if manifest.preprocessor else (manifest.artefact,)
    return sorted({name for stored in files for name in stored.trusted})


def _mlflow(origin: MlflowOrigin) -> dict[str, str]:
    """Where a logged model comes from, and what its run was told."""
    run = f"run {origin.run_id}" if origin.run_id else ""
    uuid = f"model {origin.model_uuid}" if origin.model_uuid else ""
    metrics = (f"{name}={'nan' if value is None else f'{value:g}'}" for name, value in origin.metrics.items())
    return {
        "mlflow": ", ".join(filter(None, (origin.address, origin.registered, run, uuid))),
        "parameters": ", ".join(f"{name}={value}" for name, value in origin.parameters.items()),
        "logged": ", ".join(metrics),
    }


def _retired(retirement: Retirement) -> str:
    retired, removed = retirement.retired, retirement.removed
    parts = [f"{rfc3339(retired.at)} by {retired.by or 'somebody'}", retired.note or ""]
    parts += [f"files removed {rfc3339(removed.at)}"] if removed else []
    return ", ".join(part for part in parts if part)


def _cost(manifest: Manifest) -> str:
    text = f"{manifest.row_cost_seconds * 1e6:.3g} microseconds"
    if manifest.byte_cost_seconds:
        what = "the text" if manifest.signature.kind == "text" else "the image"
        text += f", and {manifest.byte_cost_seconds * 1e9:.3g} nanoseconds for each byte of {what}"
    return text


def _column(spec: ColumnSpec) -> tuple[str, str, str, str, str]:
    seen = "-"
    if spec.categories:
        seen = ", ".join(str(label) for label in spec.categories[:5])
        seen += ", …" if len(spec.categories) > 5 else ""
    elif spec.minimum is not None and spec.maximum is not None:
        seen = f"{spec.minimum:g} to {spec.maximum:g}"
    accepted = {
        "missing": spec.accepts_null,
        "infinite": spec.accepts_infinite,
        "unseen": spec.accepts_unseen,
    }
    return (
        spec.name,
        spec.dtype,
        seen,
        _policy(spec) if seen != "-" else "-",
        ", ".join(word for word, taken in accepted.items() if not taken) or "-",
    )


def _policy(spec: ColumnSpec) -> str:
    return spec.on_unusual if spec.near is None else f"{spec.on_unusual}, z > {spec.max_z:g}"
