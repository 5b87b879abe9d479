"""pandas at the client's edge: a DataFrame becomes the Parquet file that is sent, a result a DataFrame.

Kept apart because pandas takes half a second to import, which commands that only ask about a job save.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def write_frame(frame: object, path: Path) -> None:
    """Store a DataFrame without its index; TypeError for anything else."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"expected a path, an open binary file or a pandas DataFrame, not {type(frame).__name__}"
        )
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # the column types say all that the server needs; pandas' own notes would only travel for nothing
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd", use_dictionary=False)


def read_frame(path: Path) -> pd.DataFrame:
    """The whole result in memory; its rows are the input's rows in the input's order."""
    return pd.read_parquet(path)
