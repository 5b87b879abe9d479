"""Why nothing is predicted before a fork: the child never answers, KMeans not even with one thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier

FORKING = Path(__file__).with_name("forking.py")
HANG_SECONDS = 40

pytestmark = pytest.mark.faults


@pytest.fixture(params=["boosting", "clusters"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model that uses OpenMP, in a file."""
    rows = np.random.default_rng(1).normal(size=(1000, 2))
    fits: dict[str, Callable[[], BaseEstimator]] = {
        "boosting": lambda: HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0),
        "clusters": lambda: KMeans(4, n_init=1).fit(rows),
    }
    path = tmp_path / "model.joblib"
    joblib.dump(fits[request.param](), path)
    return path


def child_answers(model: Path, parent: str, threads: int) -> bool:
    """Whether the forked child predicted; False if it hangs."""
    libraries = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(libraries, str(threads))}
    command = [sys.executable, str(FORKING), str(model), parent]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            return process.wait(HANG_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_a_fork_after_openmp_ran_hangs(model: Path) -> None:
    assert not child_answers(model, "predicts", threads=2)


def test_a_fork_before_openmp_runs_does_not(model: Path) -> None:
    assert child_answers(model, "waits", threads=2)
