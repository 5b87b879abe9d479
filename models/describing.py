"""The first draft of a signature and of the targets: from the estimator, its encoders and the sample.

Nothing is run here. The draft says what the input most likely is; ``probing`` then runs the estimator on it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.encoders import Encoded
from models.errors import SignatureRefused
from models.estimators import classes_of, json_label, label_type_of
from models.manifest import (
    ColumnSpec,
    Kind,
    Label,
    LabelType,
    Signature,
    Target,
    Task,
    label_text,
)
from models.samples import Sample

# More distinct values than this are data, not categories worth listing.
MAX_SAMPLE_CATEGORIES = 100

Dtype = Literal["float64", "int64", "bool", "string", "category"]


def feature_names(
    estimator: Any, columns: Sequence[str] | None, available: Sequence[str] | None
) -> tuple[list[str], bool]:
    """The input columns in the estimator's order, and whether it was fitted with these names.

    ``columns`` are the names given by hand, ``available`` the sample's. Raises SignatureRefused.
    """
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is not None:
        names = [str(name) for name in fitted]
        if columns is not None and list(columns) != names:
            raise SignatureRefused(
                "columns_conflict",
                f"The model was fitted with the columns {', '.join(names)}; leave out --columns.",
            )
        return names, True
    count = getattr(estimator, "n_features_in_", None)
    if columns is not None:
        _check_count(len(columns), count, "--columns names")
        return list(columns), False
    generated = [f"x{position}" for position in range(count or 0)]
    if available is None:
        if not generated:
            raise SignatureRefused(
                "columns_unknown",
                "The model does not tell its input columns: add it with --sample FILE or --columns a,b,c.",
            )
        return generated, False
    if generated and set(generated) <= set(available):
        return generated, False
    _check_count(len(available), count, "The sample has")
    return list(available), False


def _check_count(given: int, wanted: int | None, what: str) -> None:
    if wanted is not None and given != wanted:
        raise SignatureRefused(
            "column_count",
            f"{what} {given} columns, the model takes {wanted}. Name the sample's target column with "
            "--target, or the input columns in the model's order with --columns.",
        )


def check_sample_columns(names: Sequence[str], sample: Sample) -> None:
    """Every input column must be in the sample; SignatureRefused names the first that is not."""
    available = sample.table.column_names
    for name in names:
        if name in sample.unusable:
            raise SignatureRefused(
                "unusable_column",
                f"The sample's column {name!r} is of type {sample.unusable[name]}; models take numbers, "
                "strings and booleans. Turn it into one of these before training, and in the sample.",
            )
        if name not in available:
            near = difflib.get_close_matches(name, available, 1)
            hint = f" (nearest: {near[0]})" if near else ""
            raise SignatureRefused("missing_column", f"The sample has no column {name!r}{hint}.")


def table_signature(
    names: Sequence[str], named: bool, encoded: Mapping[str, Encoded], sample: Sample | None
) -> Signature:
    """The draft: a frame with the types that training most likely had."""
    specs = [_column(name, encoded.get(name), sample) for name in names]
    return Signature(kind="table", named=named, input="frame", columns=tuple(specs))


def _column(name: str, encoded: Encoded | None, sample: Sample | None) -> ColumnSpec:
    values = sample.table.column(name) if sample else None
    kind = encoded.kind if encoded else _kind_of(values)
    spec = ColumnSpec(
        name=name,
        kind=kind,
        dtype=_dtype(name, kind, encoded, sample),
        missing="none" if encoded and encoded.missing == "none" else "nan",
    )
    if encoded and encoded.categories is not None:
        spec = spec.model_copy(update={"categories": encoded.categories, "categories_from": "estimator"})
    if sample is None or values is None or not sample.tells_usual:
        return spec
    return spec.model_copy(update=_seen(values, spec))


def _kind_of(values: pa.ChunkedArray | None) -> Kind:
    if values is not None and pa.types.is_string(values.type):
        return "string"
    return "boolean" if values is not None and pa.types.is_boolean(values.type) else "number"


def _dtype(name: str, kind: Kind, encoded: Encoded | None, sample: Sample | None) -> Dtype:
    if kind == "string":
        return "category" if encoded and encoded.as_category else "string"
    if kind == "boolean":
        return "bool"
    integral = encoded.integral if encoded else bool(sample and name in sample.integral)
    return "int64" if integral else "float64"


def _seen(values: pa.ChunkedArray, spec: ColumnSpec) -> dict[str, Any]:
    """Range, mean and spread of a number column, categories of a string column, as the sample shows them."""
    if spec.kind == "number":
        finite = values.filter(pc.is_finite(values))
        bounds = pc.min_max(finite).as_py()
        return {"minimum": bounds["min"], "maximum": bounds["max"], **_spread(finite)}
    if spec.kind == "string" and spec.categories is None:
        distinct = pc.unique(values).drop_null()
        if len(distinct) <= MAX_SAMPLE_CATEGORIES:
            return {"categories": tuple(sorted(distinct.to_pylist())), "categories_from": "sample"}
    return {}


def _spread(finite: pa.ChunkedArray) -> dict[str, float]:
    """``mean`` and ``std``, where numbers differ and are not too large for that."""
    if not len(finite) or pc.all(pc.equal(finite, finite[0])).as_py():
        return {}
    mean, std = pc.mean(finite).as_py(), pc.stddev(finite).as_py()
    return {"mean": mean, "std": std} if 0 < std < math.inf else {}


def targets_of(
    estimator: Any, task: Task, predicted: Any, names: Sequence[str], labels: Mapping[str, str] | None
) -> tuple[Target, ...]:
    """One target per output, named by ``names`` or y0, y1…; ``predicted`` is an answer of ``predict``."""
    shape = np.shape(predicted)
    count = shape[1] if len(shape) == 2 else 1
    if names and len(names) != count:
        raise SignatureRefused(
            "target_count", f"--target names {len(names)} columns, the model has {count} outputs."
        )
    titles: list[str | None] = list(names) or ([None] if count == 1 else [f"y{i}" for i in range(count)])
    classes = classes_of(estimator)
    if classes is None:
        if labels:
            raise SignatureRefused(
                "labels_conflict", "--labels is for classifiers; this model has no classes."
            )
        kind: LabelType = "number" if task == "regression" else label_type_of(np.asarray(predicted))
        return tuple(Target(name=title, label_type=kind) for title in titles)
    if len(classes) != count:
        raise SignatureRefused(
            "unsupported_output",
            f"The model predicts {count} columns but has one list of classes (multilabel in one matrix). "
            "Wrap the classifier in sklearn.multioutput.MultiOutputClassifier and train again.",
        )
    if labels:
        return (_renamed(titles, classes, labels),)
    return tuple(
        Target(
            name=title,
            classes=tuple(json_label(value) for value in values.tolist()),
            label_type=label_type_of(values),
        )
        for title, values in zip(titles, classes, strict=True)
    )


def _renamed(
    titles: Sequence[str | None], classes: Sequence[np.ndarray], labels: Mapping[str, str]
) -> Target:
    if len(classes) > 1:
        raise SignatureRefused("labels_conflict", "--labels is for models with one output.")
    known = [label_text(json_label(value)) for value in classes[0].tolist()]
    strangers = set(labels) - set(known)
    if strangers:
        raise SignatureRefused(
            "labels_conflict",
            f"--labels names the class {sorted(strangers)[0]!r}; the model's classes are {', '.join(known)}.",
        )
    shown: tuple[Label, ...] = tuple(labels.get(value, value) for value in known)
    if len(set(shown)) < len(shown):
        raise SignatureRefused("labels_conflict", "--labels gives two classes the same name.")
    return Target(name=titles[0], classes=shown, label_type="string")
