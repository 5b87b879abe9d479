"""How a file becomes a version: copied, inspected, loaded, described and tried, before any row is written.

All of it happens in one staging folder that the registry renames or removes; the artefact that is examined is
the copy that is kept, so what was checked is what will be loaded.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import structlog
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from base.files import sha256_of
from base.memory import private_bytes
from models import describing, probing, texts
from models.acceptance import with_acceptance
from models.encoders import encoded_columns, used_columns
from models.errors import ArtefactRefused, ModelError, SignatureRefused, UnexpectedOutput
from models.estimators import (
    class_path,
    classes_of,
    compact,
    labels_may_follow_probabilities,
    parameters_of,
    task_of,
)
from models.image_probing import decoding_cost, image_signature, trial_rows
from models.inputs import estimator_input
from models.insight import insight
from models.loading import LoadedModel, load, read_estimator
from models.manifest import ImageSpec, Kind, Manifest, MlflowOrigin, Signature, Target
from models.mlflow import folder as mlflow_folder
from models.outputs import answers, checked_probabilities
from models.policies import Policies, with_policies
from models.samples import Sample, read_sample
from models.scorers.store import MAPPED_BYTES
from models.scorers.trial import trial
from models.taking_in import Files, checked_packages, libraries, take_in
from models.user_code import Bundle
from models.warming import warm_up

log = structlog.get_logger()


@dataclass(frozen=True)
class NewVersion:
    """What is asked for. ``targets`` are the sample columns that are no input, and the names of outputs.

    ``file`` may be the folder of a model that was logged with MLflow; its own example then stands for a
    sample that is not given, and its declared types for those of the sample.
    """

    name: str
    file: Path
    sample: Path | None = None
    targets: Sequence[str] = ()
    preprocessor: Path | None = None
    labels: Mapping[str, str] | None = None
    columns: Sequence[str] | None = None
    text: str | None = None  # the model takes bare texts, and this is the name of their column
    image: ImageSpec | None = None
    code: Path | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    data: Path | None = None
    revision: str | None = None
    policies: Policies = field(default_factory=Policies)
    trust: Sequence[str] = ()  # types in a file of skops that are confirmed
    mlflow: MlflowOrigin | None = None  # what is known of the logged model beside its folder
    example: Sample | None = None
    compiled: bool = True  # try a compiled scorer; else scikit-learn scores
    # by which a compiled scorer's numbers may differ; None: nothing for trees, 1e-12 for the rest
    tolerance: float | None = None


def prepare(new: NewVersion, folder: Path) -> Manifest:
    """Put the version's files into ``folder`` and describe them; version and time are still to be filled in.

    Raises ArtefactRefused or SignatureRefused, each with the one thing to do.
    """
    if new.file.is_dir():
        new = _logged(new)
    files = take_in(folder, new.file, new.preprocessor, new.code, new.trust)
    packages = checked_packages(files, folder)
    bundle = Bundle(folder, files.code) if files.code else None
    # probes provoke every warning there is; what matters of them is recorded in the manifest
    with warnings.catch_warnings(action="ignore"), threadpool_limits(1), _mounted(bundle):
        estimator = read_estimator(folder, files.artefact, files.preprocessor, bundle)
        _check_is_estimator(estimator, files.artefact.source)
        signature, rows = _signature(estimator, new)
        signature = with_policies(signature, new.policies)
        manifest = _described(estimator, new, files, signature, packages)
        manifest = _with_outputs(manifest, estimator, rows, new)
        record, scorer = trial(
            estimator, manifest, rows, folder, compiled=new.compiled, tolerance=new.tolerance
        )
        manifest = manifest.model_copy(update={"scorer": record, "weights": _weights(estimator, manifest)})
        model = LoadedModel(manifest, lambda: estimator, scorer=scorer, bundle=bundle)
        manifest = _with_cost(model, rows)
    # what is measured now is all of this once more; a model and its scorer hold each other
    del model, scorer
    gc.collect()
    with warnings.catch_warnings(action="ignore"), threadpool_limits(1):
        return _with_memory(manifest, folder)


def _logged(new: NewVersion) -> NewVersion:
    """The same with what the folder of a logged model tells."""
    model = mlflow_folder.read(new.file, has_code=new.code is not None)
    origin = model.origin
    if new.mlflow is not None:
        known = {name: value for name, value in new.mlflow if value}
        origin = origin.model_copy(update=known)
    return replace(new, file=model.file, example=model.example, mlflow=origin)


def _mounted(bundle: Bundle | None) -> AbstractContextManager[None]:
    return bundle.mounted() if bundle else nullcontext()


def _described(
    estimator: Any, new: NewVersion, files: Files, signature: Signature, packages: set[str]
) -> Manifest:
    """All that can be told without running the estimator again; what is not known yet is filled in later."""
    return Manifest(
        name=new.name,
        version=0,
        sha256=files.artefact.sha256,
        created_at="",
        task=task_of(estimator),
        estimator=class_path(estimator),
        artefact=files.artefact,
        preprocessor=files.preprocessor,
        code=files.code,
        signature=signature,
        targets=(),
        has_probabilities=False,
        labels_from_probabilities=False,
        labels=dict(new.labels) if new.labels else None,
        parameters=compact(parameters_of(estimator)),
        libraries=libraries(packages),
        row_cost_seconds=0.0,
        mlflow=new.mlflow,
        meta=dict(new.meta),
        revision=new.revision,
        data_file=new.data.name if new.data else None,
        data_sha256=_digest_of_data(new.data),
    )


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
        if new.text is not None:
            raise SignatureRefused("columns_conflict", "A model takes images or texts: --image or --text.")
        images = trial_rows(new.image)
        return image_signature(estimator, new.image, images), images
    if new.text is not None or texts.takes_texts(estimator):
        return _of_texts(estimator, new)
    try:
        return _of_table(estimator, new)
    except ModelError as refused:
        if not texts.may_take_texts(estimator):
            raise
        try:
            return _of_texts(estimator, new)
        except ModelError as other:
            if other.code == "text_column":
                raise
            both = f"{refused.message} Given bare texts it failed too: {other.message}"
            raise SignatureRefused(refused.code, both) from other


def _of_texts(estimator: Any, new: NewVersion) -> tuple[Signature, pa.Table]:
    if new.columns is not None:
        raise SignatureRefused(
            "columns_conflict", "The model takes bare texts: name their column with --text, not --columns."
        )
    kinds: dict[str, Kind] = {new.text: "string"} if new.text else {}
    sample = read_sample(new.sample, new.targets, kinds) if new.sample else new.example
    column = new.text
    if sample is not None and not sample.table.num_rows:
        column = column or next(iter(sample.table.column_names), None)
        sample = None
    return texts.tried(estimator, sample, column)


def _of_table(estimator: Any, new: NewVersion) -> tuple[Signature, pa.Table]:
    fitted = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    encoded = encoded_columns(estimator, fitted) if fitted else {}
    kinds = (new.example.kinds if new.example else {}) | {n: e.kind for n, e in encoded.items()}
    sample = read_sample(new.sample, new.targets, kinds) if new.sample else new.example
    available = sample.table.column_names if sample else None
    names, named = describing.feature_names(estimator, new.columns, available)
    if named:
        names = used_columns(estimator, names)
    else:
        encoded = encoded_columns(estimator, names)
    if sample is not None:
        describing.check_sample_columns(names, sample)
    return _tried(estimator, describing.table_signature(names, named, encoded, sample), sample)


def _tried(estimator: Any, draft: Signature, sample: Sample | None) -> tuple[Signature, pa.Table]:
    if sample is not None and sample.table.num_rows:
        rows = sample.table.select(list(draft.names)).slice(0, probing.VERIFIED_ROWS)
    else:
        rows = probing.synthetic_rows(draft.columns, probing.VERIFIED_ROWS)
    if rows.num_rows < probing.PROBE_ROWS:
        rows = probing.repeated(rows, probing.PROBE_ROWS)
    try:
        signature = probing.runnable(estimator, draft, rows)
    except SignatureRefused:
        # the sample may be raw data whose gaps were dropped before training
        complete = rows.drop_null()
        if complete.num_rows in (0, rows.num_rows):
            raise
        rows = probing.repeated(complete, rows.num_rows)
        signature = probing.runnable(estimator, draft, rows)
    signature = probing.fastest_equal(estimator, signature, rows)
    return with_acceptance(estimator, signature, rows), rows


def _with_outputs(draft: Manifest, estimator: Any, rows: pa.Table | np.ndarray, new: NewVersion) -> Manifest:
    data = _data(rows, draft.signature)
    predicted = probing.run(estimator, data)[0]
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    names = new.targets if predicted.ndim == 2 or len(new.targets) == 1 else ()
    targets = describing.targets_of(estimator, draft.task, predicted, names, new.labels)
    has_probabilities = _has_probabilities(estimator, data, targets)
    manifest = draft.model_copy(
        update={
            "targets": targets,
            "has_probabilities": has_probabilities,
            "example": _example(rows, draft.signature),
        }
    )
    if has_probabilities and labels_may_follow_probabilities(estimator):
        derived = manifest.model_copy(update={"labels_from_probabilities": True})
        if answers(estimator, data, derived).equals(answers(estimator, data, manifest)):
            return derived
    return manifest


def _weights(estimator: Any, manifest: Manifest) -> dict[str, Any]:
    try:
        return insight(estimator, manifest)
    except Exception as error:  # noqa: BLE001 - an estimator may raise anything when it is asked for them
        log.warning("importances or coefficients not told", model=manifest.name, reason=repr(error)[:300])
        return {}


def _has_probabilities(estimator: Any, data: Any, targets: Sequence[Target]) -> bool:
    """Whether each target gets one probability per class; chains of classifiers answer otherwise."""
    if not hasattr(estimator, "predict_proba") or classes_of(estimator) is None:
        return False
    try:
        checked_probabilities(estimator.predict_proba(data), len(data), targets)
    except UnexpectedOutput:
        return False
    return True


def _with_cost(model: LoadedModel, rows: pa.Table | np.ndarray) -> Manifest:
    manifest = model.manifest
    if not isinstance(rows, pa.Table):
        return _with_cost_of_images(model, rows)
    if manifest.signature.kind == "text":
        cost, by_byte = texts.costs(rows, model.score)
    else:
        by_byte = 0.0
        cost = probing.row_cost(rows.num_columns, lambda count: probing.repeated(rows, count), model.score)
    return manifest.model_copy(update={"row_cost_seconds": cost, "byte_cost_seconds": by_byte})


def _with_cost_of_images(model: LoadedModel, rows: np.ndarray) -> Manifest:
    spec = model.manifest.signature.image
    assert spec is not None
    width = sum(image.size for image in rows) // len(rows)
    cost = probing.row_cost(width, lambda count: rows[np.arange(count) % len(rows)], model.score)
    decoding, by_byte = decoding_cost(spec)
    return model.manifest.model_copy(
        update={"row_cost_seconds": cost + decoding, "byte_cost_seconds": by_byte}
    )


def _with_memory(manifest: Manifest, folder: Path) -> Manifest:
    """Loaded once more: all that is imported is there by now, so what grows is the model.

    Its file does not tell: a compressed one was a fifth of its model, a vocabulary took six times its file.
    """
    before = private_bytes()
    model = load(manifest, folder)
    warm_up(model, single_rows=True)
    for_scorer = 0 if model.has_estimator else private_bytes() - before
    warm_up(LoadedModel(manifest, lambda: model.estimator), single_rows=True)
    for_estimator = private_bytes() - before - for_scorer
    return manifest.with_memory(
        max(for_scorer, _read_into_memory(manifest)), max(for_estimator, manifest.stored_bytes)
    )


def _read_into_memory(manifest: Manifest) -> int:
    """Bytes of the scorer's files that are not mapped."""
    files = manifest.scorer.files if manifest.scorer else ()
    return sum(stored.bytes for stored in files if stored.bytes < MAPPED_BYTES)


def _data(rows: pa.Table | np.ndarray, signature: Signature) -> Any:
    return estimator_input(rows, signature) if isinstance(rows, pa.Table) else rows


def _example(rows: pa.Table | np.ndarray, signature: Signature) -> dict[str, Any] | None:
    """The first row without gaps, or the first row."""
    if not isinstance(rows, pa.Table):
        return None
    if signature.kind == "text":
        return texts.example(rows)
    complete = rows.drop_null()
    example: dict[str, Any] = (complete if complete.num_rows else rows).slice(0, 1).to_pylist()[0]
    return example


def _digest_of_data(data: Path | None) -> str | None:
    if data is None:
        return None
    try:
        return sha256_of(data)
    except OSError as error:
        raise ArtefactRefused(
            "unreadable_data", f"--data {data} cannot be read: {error.strerror}."
        ) from error
