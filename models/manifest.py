"""What is known about one version of a model, fixed when it was added, and the result schema that follows.

Pure data: nothing here loads an artefact, so that the API can answer from it without scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.errors import ModelError
from models.gate import Evaluation

Kind = Literal["number", "string", "boolean"]
LabelType = Literal["string", "integer", "boolean", "number"]
Task = Literal["classification", "regression", "clustering", "outlier_detection"]
Label = bool | int | float | str
Resize = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Layout = Literal["flat", "HWC", "CHW"]
Policy = Literal["warn", "refuse", "clip"]

# The name of the scorer that every estimator has: its own code.
SKLEARN = "sklearn"

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
    mean: float | None = None
    std: float | None = None  # never 0: numbers that are all equal have no distance from their mean
    # what becomes of a value that training had nothing like: outside of minimum and maximum, none of the
    # categories, more than max_z standard deviations from the mean
    on_unusual: Policy = "warn"
    max_z: float | None = None

    @property
    def near(self) -> tuple[float, float] | None:
        """Lowest and highest number that is not far from the mean; None without that rule."""
        if self.max_z is None or self.mean is None or self.std is None or self.categories:
            return None
        return self.mean - self.max_z * self.std, self.mean + self.max_z * self.std

    @property
    def usual(self) -> tuple[float, float]:
        """Lowest and highest number that no rule finds unusual; infinite without a rule for numbers."""
        low, high = self.near or (-math.inf, math.inf)
        if self.minimum is None or self.maximum is None or self.categories:
            return low, high
        return max(low, self.minimum), min(high, self.maximum)

    @property
    def clip_to(self) -> tuple[float, float]:
        """What unusual numbers become: ``usual``, in whole numbers where the column has such."""
        low, high = self.usual
        if self.dtype != "int64" or not math.isfinite(high - low):
            return low, high
        first, last = float(math.ceil(low)), float(math.floor(high))
        return (first, last) if first <= last else (float(round(low)), float(round(low)))


class ImageSpec(_Record):
    """How an image becomes the numbers that a model takes; every field changes them.

    A channel's number is ``low + pixel * (high - low) / 255`` for a pixel of 0 to 255, less ``mean``, over
    ``std`` (one number, or one for each channel). ``flat`` is by rows, a pixel's channels together.
    Without width and height the model takes decoded images of any size, and the other fields but ``mode``
    have no meaning.
    """

    model_config = ConfigDict(extra="forbid")

    width: int | None = Field(None, ge=1, le=4096)
    height: int | None = Field(None, ge=1, le=4096)
    mode: Literal["L", "RGB"] = "L"
    resize: Resize = "box"
    low: float = Field(0.0, allow_inf_nan=False)
    high: float = Field(255.0, allow_inf_nan=False)
    mean: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    std: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    layout: Layout = "flat"
    draft: bool = False  # JPEG may be decoded at a half, quarter or eighth: faster, and other pixels

    @model_validator(mode="before")
    @classmethod
    def _read_first_form(cls, stored: Any) -> Any:
        """The first versions were recorded with ``scale: 16`` for 0 to 16."""
        if isinstance(stored, dict) and "scale" in stored:
            rest = {name: value for name, value in stored.items() if name not in ("scale", "resample")}
            return {**rest, "high": stored["scale"]}
        return stored

    @model_validator(mode="after")
    def _check(self) -> ImageSpec:
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height stand together")
        if self.low == self.high:
            raise ValueError(f"the scale {self.low:g}..{self.high:g} makes all pixels the same number")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {0, 1, self.channels}:
                wanted = f"1 or {self.channels}" if self.channels > 1 else "1"
                raise ValueError(f"{name} has {len(values)} numbers, mode {self.mode} takes {wanted}")
        plain = ImageSpec.model_construct(mode=self.mode)
        if self.any_size and self != plain:
            raise ValueError("images of any size are given as they are decoded; only the mode can be chosen")
        return self

    @property
    def channels(self) -> int:
        """Numbers of one pixel."""
        return 3 if self.mode == "RGB" else 1

    @property
    def any_size(self) -> bool:
        """The pipeline's own step takes decoded images: uint8 (height, width), in colour (…, 3)."""
        return self.width is None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that one image becomes; empty where that is up to the image."""
        if self.width is None or self.height is None:
            return ()
        if self.layout == "flat":
            return (self.width * self.height * self.channels,)
        if self.layout == "CHW":
            return (self.channels, self.height, self.width)
        return (self.height, self.width, self.channels)

    @property
    def features(self) -> int | None:
        """How many numbers one image becomes; None where that is up to the image."""
        return math.prod(self.shape) if self.shape else None

    def __str__(self) -> str:
        """In a line: ``32x24 RGB, bilinear, 0..1, mean 0.5, std 0.25, CHW``."""
        if self.any_size:
            return f"any size {self.mode}"
        parts = [f"{self.width}x{self.height} {self.mode}", self.resize, f"{self.low:g}..{self.high:g}"]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values:
                parts.append(f"{name} {','.join(f'{value:g}' for value in values)}")
        return ", ".join([*parts, self.layout, *(["draft"] if self.draft else [])])


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
    """A file in the version's folder; ``source`` is the name it was added under.

    ``trusted`` are the types in a file of skops that whoever added it confirmed.
    """

    file: str
    sha256: str
    bytes: int
    source: str
    trusted: tuple[str, ...] = ()


class MlflowOrigin(_Record):
    """The logged model that a version was made of; parameters and metrics are its run's, where it was asked.

    ``address`` is what it was added by (``models:/wine@champion``), ``registered`` the version that this
    meant then (``wine/3``).
    """

    address: str | None = None
    registered: str | None = None
    run_id: str | None = None
    model_uuid: str | None = None
    model_id: str | None = None
    mlflow_version: str | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float | None] = Field(default_factory=dict)


class Code(_Record):
    """The user's own modules, stored with the version; ``sha256`` covers all names and contents."""

    sha256: str
    modules: tuple[str, ...]
    files: tuple[str, ...]


class ScorerRecord(_Record):
    """How a version is scored, and why: by a compiled scorer, verified when it was added, or by scikit-learn.

    Speed-ups are ratios of times, on one thread, against the estimator in process.
    """

    kind: str | None = None  # of the compiled scorer's core; None: scikit-learn scores everything
    reason: str | None = None  # why scikit-learn scores everything, or all but single rows
    scores_batches: bool = False  # else the compiled scorer answers single rows only
    labels_from_ties: bool = (
        False  # `predict` takes the first of equal probabilities, so that ties are no doubt
    )
    near_tie: float = 1e-9  # how close two classes are, of 1 or the larger, for which `predict` is asked
    largest_difference: float | None = None  # relative to the larger of 1 and what the estimator answered
    rows_compared: int = 0
    splits: int = 0  # in all trees of the model
    splits_compared: int = 0  # of these, with rows at their thresholds and sets of categories
    splits_in_whole: int = 0  # of these, in the whole model, not only in their own tree
    speedup_one_row: float | None = None
    speedup_batch: float | None = None
    memory_bytes: int = 0  # that a process has less for the scorer alone; mapped files do not count
    files: tuple[StoredFile, ...] = ()


class Manifest(_Record):
    """One version. ``row_cost_seconds`` is per row of a large batch on one thread; times are RFC 3339.

    For images it includes decoding a tiny one; each byte of a larger one adds ``byte_cost_seconds``. For
    texts it is that of an empty one, and each byte of UTF-8 adds ``byte_cost_seconds``.
    """

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
    weights: dict[str, Any] | None = None  # what `insight` found; None: added before that was kept
    row_cost_seconds: float
    byte_cost_seconds: float = 0.0
    memory_bytes: int | None = None  # that a process has less for once it has unpickled the model
    scorer: ScorerRecord | None = None  # None: added before there were compiled scorers
    evaluation: Evaluation | None = None
    mlflow: MlflowOrigin | None = None
    meta: dict[str, str] = Field(default_factory=dict)
    revision: str | None = None
    data_file: str | None = None
    data_sha256: str | None = None

    @property
    def reference(self) -> str:
        """``name@version``; before a version has a number, the name."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def stored_bytes(self) -> int:
        """Size of the files that are unpickled."""
        return self.artefact.bytes + (self.preprocessor.bytes if self.preprocessor else 0)

    @property
    def unpickled_bytes(self) -> int:
        """What the estimator takes in memory; a guess for versions added before that was measured."""
        return 2 * self.stored_bytes if self.memory_bytes is None else self.memory_bytes

    @property
    def loaded_bytes(self) -> int:
        """What the model takes in memory when it is loaded, which may be without its estimator."""
        if self.scorer is None or self.scorer.kind is None:
            return self.unpickled_bytes
        return self.scorer.memory_bytes + (0 if self.scorer.scores_batches else self.unpickled_bytes)

    def with_memory(self, scorer_bytes: int, estimator_bytes: int) -> Manifest:
        """The same with what was measured."""
        record = self.scorer and self.scorer.model_copy(update={"memory_bytes": scorer_bytes})
        return self.model_copy(update={"memory_bytes": estimator_bytes, "scorer": record})

    @property
    def scored_by(self) -> str:
        """What scores files and rows alike: the kind of the compiled scorer, else ``sklearn``."""
        record = self.scorer
        return record.kind if record and record.kind and record.scores_batches else SKLEARN


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
