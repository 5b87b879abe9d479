"""A user's model that certain values in column ``a`` bring down, each in its own way."""

from __future__ import annotations

import ctypes
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


def allocate() -> None:
    """Until there is no more; what is allocated is used, so that it is real."""
    kept = []
    while True:
        kept.append(bytearray(b"x") * (64 << 20))


def stick() -> None:
    """In C code, which no signal handler of Python interrupts."""
    ctypes.PyDLL(None).sleep(3600)


def read_nothing() -> None:
    """A segmentation fault."""
    ctypes.string_at(0)


def stuck_file(mark: float) -> Path:
    """What is there once somebody was stuck at this mark."""
    return Path(tempfile.gettempdir()) / f"rowmill-test-stuck-{mark:.0f}"


def stick_once(mark: float) -> None:
    """In C code, the first time that this mark is seen on this machine."""
    if not stuck_file(mark).exists():
        stuck_file(mark).touch()
        stick()


STUCK_ONCE = -5.0
PERILS = {
    -1.0: lambda: os._exit(0),
    -2.0: allocate,
    -3.0: stick,
    -4.0: lambda: os.kill(os.getppid(), signal.SIGKILL),
    -6.0: os.abort,
    -9.0: lambda: os.kill(os.getpid(), signal.SIGKILL),
    -10.0: lambda: os.killpg(0, signal.SIGKILL),
    -11.0: read_nothing,
}


class Perilous(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The sum of a row, unless the row is a peril."""

    n_features_in_ = 2
    feature_names_in_ = np.array(["a", "b"], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        values = np.asarray(X, dtype=float)
        for value, mark in values:
            if value in PERILS:
                PERILS[value]()
            elif value == STUCK_ONCE:
                stick_once(mark)
        return values.sum(axis=1)


class PerilousPictures(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The sum of a picture's pixels, unless the first two are the peril."""

    n_features_in_ = 4

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        values = np.asarray(X, dtype=float)
        if ((values[:, 0] == 201) & (values[:, 1] == 7)).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return values.sum(axis=1)
