"""What a kernel is: one row in, what ``predict_proba`` (or ``predict`` of a regressor) answers to it out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# From one row of finite 64-bit numbers to the probabilities of the classes, or to the one predicted value;
# NaN where the estimator must be asked.
Kernel = Callable[[np.ndarray], np.ndarray]
