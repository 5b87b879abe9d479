"""What compiled scorers are made of: parts of arrays and plain values, nothing that needs unpickling.

A scorer is a reader (columns to a matrix) and a core (a matrix to answers). It answers as one fitted
estimator does, or says that it is unsure; then the estimator itself is asked, so refusals are always
scikit-learn's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa

Cell = float | int | str | bool | None


class Unsure(Exception):
    """The estimator would refuse these rows, or might answer something else."""


class NotCompiled(Exception):
    """There is no compiled form of an estimator; the message says why, for people."""


class Part(Protocol):
    """A frozen dataclass of NumPy arrays, plain values (str, int, float, bool, None), parts, tuples of these.

    So one store can write and map all of them. Arrays may be read-only, and shared with other processes.
    """

    kind: ClassVar[str]


class Reader(Part, Protocol):
    """What stands in front of a core: columns, imputers, scalers, encoders."""

    @property
    def width(self) -> int:
        """How many columns the matrix has, on the way or in the end: what a row takes in memory."""

    def matrix(self, rows: pa.Table) -> np.ndarray:
        """The core's input, (rows, features). ``rows`` has the signature's columns. Raises Unsure."""

    def row(self, values: Sequence[Cell]) -> np.ndarray:
        """The core's input for one row, 64-bit and one-dimensional; values in the signature's order."""


class Core(Part, Protocol):
    """What an estimator does to a matrix."""

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """(rows, outputs), 64-bit: probabilities in the order of ``classes_``, or a column of predictions.

        Raises Unsure.
        """

    def answer_one(self, row: np.ndarray) -> np.ndarray:
        """The same for one row of 64-bit numbers, in microseconds: (outputs,). Raises Unsure."""
