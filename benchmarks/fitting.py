"""The three models that are scored with: fitted once, from the fixed training rows, and kept as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data import FEATURES, training_rows

MODELS = ("lr", "rf", "hgb")
SAMPLE_ROWS = 5_000


def model_file(folder: Path, name: str) -> Path:
    """The fitted model as a joblib file, made if it is not there yet."""
    path = folder / f"{name}.joblib"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        values, labels = training_rows()
        draft = path.with_suffix(".draft")
        joblib.dump(_new(name).fit(pd.DataFrame(values, columns=FEATURES), labels), draft)
        draft.rename(path)
    return path


def sample_file(folder: Path) -> Path:
    """Some of the training rows, for `models add --sample`."""
    path = folder / "sample.parquet"
    if not path.exists():
        values, _ = training_rows()
        pd.DataFrame(values[:SAMPLE_ROWS], columns=FEATURES).to_parquet(path)
    return path


def _new(name: str) -> Any:
    match name:
        case "lr":
            return make_pipeline(StandardScaler(), LogisticRegression())
        case "rf":
            return RandomForestClassifier(100, max_depth=12, random_state=0)
        case "hgb":
            return HistGradientBoostingClassifier(max_iter=200, early_stopping=False, random_state=0)
    raise ValueError(f"no model of the benchmark is called {name}")
