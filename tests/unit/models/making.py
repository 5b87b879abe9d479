"""Adding a fitted estimator without a database, as the tests of scoring need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pyarrow as pa

from models.adding import NewVersion, prepare
from models.loading import LoadedModel, load


def added(folder: Path, estimator: Any, **options: Any) -> LoadedModel:
    """``estimator`` saved, examined and loaded again; ``options`` are those of NewVersion."""
    folder.mkdir(exist_ok=True)
    file = folder / "saved.joblib"
    joblib.dump(estimator, file)
    return added_file(folder, file, **options)


def added_file(folder: Path, file: Path, **options: Any) -> LoadedModel:
    """A saved estimator examined and loaded again."""
    store = folder / "store"
    store.mkdir()
    manifest = prepare(NewVersion(name="m", file=file, **options), store)
    return load(manifest, store)


def saved_csv(folder: Path, frame: pd.DataFrame) -> Path:
    """The frame as a sample file."""
    path = folder / "sample.csv"
    frame.to_csv(path, index=False)
    return path


def table_of(frame: pd.DataFrame) -> pa.Table:
    """A frame as a chunk reader gives it: numbers as float64, strings, booleans."""
    columns = {}
    for name in frame.columns:
        values = frame[name]
        kind = pa.string()
        if pd.api.types.is_bool_dtype(values):
            kind = pa.bool_()
        elif pd.api.types.is_numeric_dtype(values):
            kind = pa.float64()
        columns[str(name)] = pa.array(values.tolist(), kind, from_pandas=True)
    return pa.table(columns)
