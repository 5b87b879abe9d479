"""How a file becomes a version: copied, inspected, loaded, described and tried, before any row is written.

All of it happens in one staging folder that the registry renames or removes; the artefact that is examined is
the copy that is kept, so what was checked is what will be loaded.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from base.files import DigestWriter, sha256_of
from models import describing, probing
from models.encoders import encoded_columns
from models.errors import ArtefactRefused, SignatureRefused
from models.estimators import (
    class_path,
    classes_of,
    compact,
    labels_may_follow_probabilities,
    parameters_of,
    task_of,
)
from models.inputs import estimator_input
from models.loading import LoadedModel, read_estimator
from models.manifest import ImageSpec, Manifest, Signature, StoredFile
from models.outputs import answers
from models.pickles import Contents, check, inspect
from models.samples import Sample, read_sample
from models.user_code import Bundle, store

BLOCK = 1 << 20


@dataclass(frozen=True)
class NewVersion:
    """What is asked for. ``targets`` are the sample columns that are no input, and the names of outputs."""

    name: str
    file: Path
    sample: Path | None = None
    targets: Sequence[str] = ()
    preprocessor: Path | None = None
    labels: Mapping[str, str] | None = None
    columns: Sequence[str] | None = None
    image: ImageSpec | None = None
    code: Path | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    data: Path | None = None
    revision: str | None = None


def prepare(new: NewVersion, folder: Path) -> Manifest:
    """Put the version's files into ``folder`` and describe them; version and time are still to be filled in.

    Raises ArtefactRefused or SignatureRefused, each with the one thing to do.
    """
    code = store(new.code, folder) if new.code else None
    bundle = Bundle(folder, code) if code else None
    artefact = _keep(new.file, folder, "model")
    preprocessor = _keep(new.preprocessor, folder, "preprocessor") if new.preprocessor else None
    contents = Contents()
    for stored in filter(None, (artefact, preprocessor)):
        found = inspect(folder / stored.file, stored.source)
        check(found, stored.source, code.modules if code else ())
        contents.names.update(found.names)
    with threadpool_limits(1), bundle.mounted() if bundle else nullcontext():
        estimator = read_estimator(folder, artefact, preprocessor, bundle)
        _check_is_estimator(estimator, artefact.source)
        signature, rows = _signature(estimator, new)
        draft = Manifest(
            name=new.name,
            version=0,
            sha256=artefact.sha256,
            created_at="",
            task=task_of(estimator),
            estimator=class_path(estimator),
            artefact=artefact,
            preprocessor=preprocessor,
            code=code,
            signature=signature,
            targets=(),
            has_probabilities=False,
            labels_from_probabilities=False,
            labels=dict(new.labels) if new.labels else None,
            parameters=compact(parameters_of(estimator)),
            libraries=_libraries(contents, code.modules if code else ()),
            example=_example(rows),
            row_cost_seconds=0.0,
            meta=dict(new.meta),
            revision=new.revision,
            data_file=new.data.name if new.data else None,
            data_sha256=_digest_of_data(new.data),
        )
        return _with_cost(_with_outputs(draft, estimator, rows, new), estimator, rows, bundle)


def _keep(source: Path, folder: Path, name: str) -> StoredFile:
    stored = name + (".pkl" if source.suffix in (".pkl", ".pickle") else ".joblib")
    try:
        with source.open("rb") as stream, (folder / stored).open("xb") as out:
            writer = DigestWriter(out)
            while block := stream.read(BLOCK):
                writer.write(block)
    except OSError as error:
        raise ArtefactRefused(
            "unreadable_artefact", f"{source} cannot be copied: {error.strerror}."
        ) from error
    return StoredFile(file=stored, sha256=writer.sha256, bytes=writer.bytes, source=source.name)


def _check_is_estimator(estimator: Any, source: str) -> None:
    if hasattr(estimator, "predict") and hasattr(estimator, "get_params"):
        return
    kind = type(estimator).__name__
    hint = ""
    if isinstance(estimator, dict):
        hint = f" with the keys {', '.join(map(str, list(estimator)[:10]))}"
    raise ArtefactRefused(
        "not_an_estimator",
        f"{source} holds a {kind}{hint}, not an estimator with predict. Save the fitted estimator or "
        "pipeline itself with joblib.dump(model, 'model.joblib'); a separate scaler goes to --preprocessor.",
    )


def _signature(estimator: Any, new: NewVersion) -> tuple[Signature, pa.Table | np.ndarray]:
    """The tried signature, and the rows it was tried on."""
    if new.image is not None:
        if new.sample is not None:
            raise SignatureRefused("bad_sample", "An image model takes no --sample.")
        pixels = np.random.default_rng(0).integers(0, 256, (probing.VERIFIED_ROWS, new.image.features))
        return describing.image_signature(estimator, new.image), pixels * (new.image.scale / 255.0)
    fitted = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    encoded = encoded_columns(estimator, fitted) if fitted else {}
    sample = (
        read_sample(new.sample, new.targets, {n: e.kind for n, e in encoded.items()}) if new.sample else None
    )
    available = sample.table.column_names if sample else None
    names, named = describing.feature_names(estimator, new.columns, available)
    if not fitted:
        encoded = encoded_columns(estimator, names)
    if sample is not None:
        describing.check_sample_columns(names, sample.table.column_names)
    return _tried(estimator, describing.table_signature(names, named, encoded, sample), sample)


def _tried(estimator: Any, draft: Signature, sample: Sample | None) -> tuple[Signature, pa.Table]:
    if sample is not None:
        rows = sample.table.select(list(draft.names)).slice(0, probing.VERIFIED_ROWS)
    else:
        rows = probing.synthetic_rows(draft.columns, probing.VERIFIED_ROWS)
    if rows.num_rows < probing.PROBE_ROWS:
        rows = probing.repeated(rows, probing.PROBE_ROWS)
    signature = probing.runnable(estimator, draft, rows)
    signature = probing.fastest_equal(estimator, signature, rows)
    return probing.with_acceptance(estimator, signature, rows), rows


def _with_outputs(draft: Manifest, estimator: Any, rows: pa.Table | np.ndarray, new: NewVersion) -> Manifest:
    data = _data(rows, draft.signature)
    predicted = probing.run(estimator, data)[0]
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    names = new.targets if predicted.ndim == 2 or len(new.targets) == 1 else ()
    targets = describing.targets_of(estimator, draft.task, predicted, names, new.labels)
    has_probabilities = hasattr(estimator, "predict_proba") and classes_of(estimator) is not None
    manifest = draft.model_copy(update={"targets": targets, "has_probabilities": has_probabilities})
    if has_probabilities and labels_may_follow_probabilities(estimator):
        derived = manifest.model_copy(update={"labels_from_probabilities": True})
        if answers(estimator, data, derived).equals(answers(estimator, data, manifest)):
            return derived
    return manifest


def _with_cost(
    manifest: Manifest, estimator: Any, rows: pa.Table | np.ndarray, bundle: Bundle | None
) -> Manifest:
    model = LoadedModel(manifest, estimator, bundle)

    def batch(count: int) -> Any:
        if isinstance(rows, pa.Table):
            return probing.repeated(rows, count)
        return np.resize(rows, (count, rows.shape[1]))

    return manifest.model_copy(update={"row_cost_seconds": probing.row_cost(batch, model.score)})


def _data(rows: pa.Table | np.ndarray, signature: Signature) -> Any:
    return estimator_input(rows, signature) if isinstance(rows, pa.Table) else rows


def _example(rows: pa.Table | np.ndarray) -> dict[str, Any] | None:
    """The first row without gaps, or the first row."""
    if not isinstance(rows, pa.Table):
        return None
    complete = rows.drop_null()
    example: dict[str, Any] = (complete if complete.num_rows else rows).slice(0, 1).to_pylist()[0]
    return example


def _libraries(contents: Contents, own: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of every installed distribution that the pickle refers to."""
    versions = {"python": platform.python_version()}
    packages = {"sklearn", "numpy", "joblib"} | contents.packages - set(own)
    distributions = importlib.metadata.packages_distributions()
    for package in packages:
        for distribution in distributions.get(package, ()):
            versions[distribution.lower()] = importlib.metadata.version(distribution)
    return dict(sorted(versions.items()))


def _digest_of_data(data: Path | None) -> str | None:
    if data is None:
        return None
    try:
        return sha256_of(data)
    except OSError as error:
        raise ArtefactRefused(
            "unreadable_data", f"--data {data} cannot be read: {error.strerror}."
        ) from error
