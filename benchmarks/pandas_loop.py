"""The baseline that everybody writes first: pandas in chunks, one Parquet file at the end.

``python -m benchmarks.pandas_loop MODEL INPUT OUTPUT``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import joblib
import pandas as pd
import pyarrow.parquet as pq

CHUNK_ROWS = 100_000


def main(model_path: str, input_path: str, output_path: str) -> None:
    """Score one file."""
    model = joblib.load(model_path)
    features = list(model.feature_names_in_)
    scored = []
    for chunk in _chunks(input_path):
        rows = chunk[features]
        probabilities = model.predict_proba(rows)
        scored.append(
            pd.DataFrame(
                {
                    "id": chunk["id"],
                    "prediction": model.predict(rows),
                    "probability_0": probabilities[:, 0],
                    "probability_1": probabilities[:, 1],
                }
            )
        )
    pd.concat(scored).to_parquet(output_path, index=False)


def _chunks(path: str) -> Iterable[pd.DataFrame]:
    if path.endswith(".csv"):
        return pd.read_csv(path, chunksize=CHUNK_ROWS)
    batches = pq.ParquetFile(path).iter_batches(batch_size=CHUNK_ROWS)
    return (batch.to_pandas() for batch in batches)


if __name__ == "__main__":
    main(*sys.argv[1:])
