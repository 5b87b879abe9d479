"""What is known about one version of a model, fixed when it was added, and the result schema that follows.

Pure data: nothing here loads an artefact, so that the API can answer from it without scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from models.errors import ModelError

Kind = Literal["number", "string", "boolean"]
LabelType = Literal["string", "integer", "boolean", "number"]
Task = Literal["classification", "regression", "clustering", "outlier_detection"]
Label = bool | int | float | str

ARROW_KINDS: dict[str, pa.DataType] = {"number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}
ARROW_LABELS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "number": pa.float64(),
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class ColumnSpec(_Record):
    """One input column, and what the estimator was seen to do with unusual values in it."""

    name: str
    kind: Kind
    # what the estimator is given: the type it was most likely trained with
    dtype: Literal["float64", "int64", "bool", "string", "category"]
    missing: Literal["nan", "none"] = "nan"  # how a missing value is written in a column of objects
    accepts_null: bool = True
    accepts_infinite: bool = True
    accepts_unseen: bool = True
    categories: tuple[Label, ...] | None = None
    # the estimator's own list of categories is complete; one seen in a sample is only an illustration
    categories_from: Literal["estimator", "sample"] | None = None
    minimum: float | None = None
    maximum: float | None = None


class ImageSpec(_Record):
    """How an image becomes ``width * height * channels`` numbers: by rows, a pixel's channels together."""

    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    mode: Literal["L", "RGB"] = "L"
    scale: float = Field(255.0, gt=0)  # what a full pixel (255) becomes
    resample: Literal["box"] = "box"

    @property
    def features(self) -> int:
        """Length of the flat row of numbers."""
        return self.width * self.height * (3 if self.mode == "RGB" else 1)


class Signature(_Record):
    """What goes in."""

    kind: Literal["table", "image", "text"]
    named: bool  # the estimator was fitted with feature names; otherwise columns may match by position
    # what the estimator is given; texts: an object array of str, series: the same as a pandas Series
    input: Literal["frame", "matrix", "texts", "series"]
    dtype: Literal["float64", "float32"] = "float64"  # of the matrix
    columns: tuple[ColumnSpec, ...] = ()
    image: ImageSpec | None = None

    @property
    def takes(self) -> str:
        """What goes in, in a word or two for messages."""
        if self.kind == "image":
            return "images"
        return "texts" if self.kind == "text" else "rows of a table"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in the estimator's order; one for texts, none for images."""
        return tuple(column.name for column in self.columns)


class Target(_Record):
    """One output. ``classes`` are the labels as results show them, in the order of ``classes_``."""

    name: str | None
    classes: tuple[Label, ...] | None = None
    label_type: LabelType = "number"


class StoredFile(_Record):
    """A file in the version's folder; ``source`` is the name it was added under."""

    file: str
    sha256: str
    bytes: int
    source: str


class Code(_Record):
    """The user's own modules, stored with the version; ``sha256`` covers all names and contents."""

    sha256: str
    modules: tuple[str, ...]
    files: tuple[str, ...]


class Manifest(_Record):
    """One version. ``row_cost_seconds`` is per row of a large batch on one thread; times are RFC 3339."""

    name: str
    version: int
    sha256: str
    created_at: str
    task: Task
    estimator: str
    artefact: StoredFile
    preprocessor: StoredFile | None = None
    code: Code | None = None
    signature: Signature
    targets: tuple[Target, ...]
    has_probabilities: bool
    # labels follow exactly from the probabilities, so that one pass over the data is enough
    labels_from_probabilities: bool
    labels: dict[str, str] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    example: dict[str, Any] | None = None
    row_cost_seconds: float
    row_bytes: float | None = None  # of texts: the mean length that the cost was measured with
    meta: dict[str, str] = Field(default_factory=dict)
    revision: str | None = None
    data_file: str | None = None
    data_sha256: str | None = None

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


def output_schema(manifest: Manifest, confidence: bool = False) -> pa.Schema:
    """The columns of a result that the model fills: predictions, probabilities, then confidence.

    Raises ModelError ``no_probabilities`` if confidence is wanted of a model that has no probabilities.
    """
    fields = [
        pa.field(_joined("prediction", part), ARROW_LABELS[target.label_type])
        for part, target in _parts(manifest.targets)
    ]
    if manifest.has_probabilities:
        fields += [
            pa.field(_joined("probability", part, label_text(label)), pa.float64())
            for part, target in _parts(manifest.targets)
            for label in target.classes or ()
        ]
    elif confidence:
        raise ModelError(
            "no_probabilities",
            f"{manifest.reference} ({manifest.estimator}) gives no probabilities, so there is no confidence; "
            "leave out outputs=confidence.",
        )
    if confidence:
        fields += [
            pa.field(_joined("confidence", part), pa.float64()) for part, _ in _parts(manifest.targets)
        ]
    return pa.schema(fields)


def label_text(label: Label) -> str:
    """A label as it stands in a column name: booleans as in JSON."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _parts(targets: Sequence[Target]) -> list[tuple[str | None, Target]]:
    if len(targets) == 1:
        return [(None, targets[0])]
    return [(target.name, target) for target in targets]


def _joined(*words: str | None) -> str:
    return "_".join(word for word in words if word is not None)
