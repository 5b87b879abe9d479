"""From the sum of a boosted model's trees to its answer, by scikit-learn's own functions.

They are taken as they are, because equal formulas are not equal bits: a sum of exponentials depends on the
layout of its matrix, an exponential on the library that computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from sklearn._loss.link import LogLink
from sklearn._loss.loss import ExponentialLoss, HalfBinomialLoss, HalfMultinomialLoss

# (rows, outputs) of sums to (rows, outputs) of answers
Link = Callable[[np.ndarray], np.ndarray]


def _exponential(sums: np.ndarray) -> np.ndarray:
    answers: np.ndarray = LogLink().inverse(sums.ravel())
    return answers[:, None]


def _by_columns(sums: np.ndarray) -> np.ndarray:
    """Histogram boosting adds up its classes column by column."""
    answers: np.ndarray = HalfMultinomialLoss().predict_proba(np.asfortranarray(sums))
    return answers


LINKS: Mapping[str, Link] = {
    "identity": lambda sums: sums,
    "log": _exponential,
    "logit": HalfBinomialLoss().predict_proba,
    "half_logit": ExponentialLoss().predict_proba,
    "softmax": HalfMultinomialLoss().predict_proba,
    "softmax_by_columns": _by_columns,
}
