"""Machine code for one row's way through a network: each product of NumPy's takes longer to call than to do.

Without numba this file is an ImportError; rows then go the way of many rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models.scorers.machine_code import bound, compiled, fixed

_IDENTITY, _LOGISTIC, _RELU, _TANH = range(4)
_ACTIVATIONS = {"identity": _IDENTITY, "logistic": _LOGISTIC, "relu": _RELU, "tanh": _TANH}


def scores_of(
    parameters: np.ndarray, sizes: tuple[int, ...], activation: str, limit: float
) -> Callable[[np.ndarray, np.ndarray], bool]:
    """Fills its second argument with the last layer's sums for the row that is its first.

    False if a number is not below ``limit``, missing or infinite. All else is as in ``Network``.
    """
    return bound(_scores, fixed(parameters), fixed(np.array(sizes)), _ACTIVATIONS[activation], limit)


@compiled
def _activate(values: Any, activation: int) -> None:
    if activation == _RELU:
        for unit in range(len(values)):
            values[unit] = max(values[unit], 0.0)
    elif activation == _LOGISTIC:
        for unit in range(len(values)):
            values[unit] = 1.0 / (1.0 + np.exp(-values[unit]))
    elif activation == _TANH:
        for unit in range(len(values)):
            values[unit] = 1.0 - 2.0 / (1.0 + np.exp(2.0 * values[unit]))  # in half the time of tanh


@compiled
def _scores(parameters: Any, sizes: Any, activation: int, limit: float, row: Any, out: Any) -> bool:
    """Sums grow input by input, all units of a layer side by side: so the processor adds several at once.

    An input of 0 is left out, which half of all units give.
    """
    for value in row:
        if not abs(value) < limit:
            return False
    values, start = row, 0
    for layer in range(1, len(sizes)):
        if layer > 1:
            _activate(values, activation)
        inputs, outputs = sizes[layer - 1], sizes[layer]
        sums = parameters[start : start + outputs].copy()
        start += outputs
        weights = parameters[start : start + inputs * outputs].reshape((inputs, outputs))
        start += inputs * outputs
        for source in range(inputs):
            value = values[source]
            if value != 0.0:
                for unit in range(outputs):
                    sums[unit] += value * weights[source, unit]
        values = sums
    out[:] = values
    return True
