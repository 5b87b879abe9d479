"""What is known, while a pipeline is compiled, about the columns between two of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from models.manifest import ColumnSpec, Signature
from models.scorers.part import NotCompiled


@dataclass(frozen=True)
class Source:
    """One column. ``vocabulary`` numbers the texts that steps know; None for numbers. It grows on the way.

    ``missing`` is how the estimator is given a missing value; ``never``: there is none behind an imputer.
    """

    name: str
    vocabulary: dict[str, int] | None = None
    missing: Literal["nan", "none", "never"] = "nan"
    is_boolean: bool = False
    is_integer: bool = False  # given as whole numbers wherever that loses nothing

    def code(self, text: str) -> float:
        """The number that stands for a text of this column."""
        assert self.vocabulary is not None
        return float(self.vocabulary.setdefault(text, len(self.vocabulary)))


NUMBER = Source("number")


@dataclass(frozen=True)
class Stage:
    """All columns at one place in the pipeline.

    ``names`` are those by which steps select columns; None: by position. ``sparse``: scikit-learn holds them
    in a sparse matrix. ``objects``: in an array of Python's objects.
    """

    sources: tuple[Source, ...]
    names: tuple[str, ...] | None = None
    sparse: bool = False
    objects: bool = False

    def chosen(self, positions: np.ndarray) -> Stage:
        """Some of the columns."""
        return Stage(tuple(self.sources[position] for position in positions), objects=self.objects)

    def positions(self, transformer: Any, indices: np.ndarray) -> np.ndarray:
        """Where the columns stand that were at ``indices`` when ``transformer`` was fitted."""
        if self.names is not None and hasattr(transformer, "feature_names_in_"):
            wanted = transformer.feature_names_in_[indices]
            return np.array([self.names.index(name) for name in wanted], dtype=np.int64)
        self.check_width(transformer)
        return np.asarray(indices, dtype=np.int64)

    def check_width(self, transformer: Any) -> None:
        """Raises NotCompiled unless there are as many columns as there were in training."""
        if transformer.n_features_in_ != len(self.sources):
            raise NotCompiled(f"{type(transformer).__name__} was fitted with other columns")

    def check_numbers(self, transformer: Any) -> None:
        """Raises NotCompiled if a column holds texts."""
        for source in self.texts():
            raise NotCompiled(f"{type(transformer).__name__} is given the texts of {source.name!r}")

    def texts(self) -> Iterator[Source]:
        """The columns that hold texts."""
        return (source for source in self.sources if source.vocabulary is not None)


def raw_stage(signature: Signature) -> Stage:
    """The columns as they come in."""
    is_frame = signature.input == "frame"
    sources = tuple(_source(spec, is_frame) for spec in signature.columns)
    return Stage(sources, signature.names if is_frame and signature.named else None)


def _source(spec: ColumnSpec, is_frame: bool) -> Source:
    if spec.kind == "string":
        return Source(spec.name, {}, "nan" if spec.dtype == "category" else spec.missing)
    is_boolean = is_frame and spec.kind == "boolean"
    return Source(spec.name, is_boolean=is_boolean, is_integer=is_frame and spec.dtype == "int64")
