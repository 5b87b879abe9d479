"""Predicts in a forked child: ``python forking.py MODEL.joblib PARENT``; exit status 0 if the child answered.

PARENT is ``predicts`` or ``waits``: what the parent does with the model before it forks.
"""

from __future__ import annotations

import os
import sys

import joblib
import numpy as np

ROWS = np.random.default_rng(0).normal(size=(5000, 2))


def main() -> None:
    """Load, perhaps predict, fork, and predict in the child."""
    path, parent = sys.argv[1:]
    estimator = joblib.load(path)
    if parent == "predicts":
        estimator.predict(ROWS)
    child = os.fork()
    if not child:
        estimator.predict(ROWS)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
