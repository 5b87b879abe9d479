"""The limit: what two processes can do at best with pyarrow, NumPy and scikit-learn, tuned by hand.

``python -m benchmarks.limit MODEL INPUT FOLDER`` starts two processes of one thread, each with half of the
file, and prints how long each took beyond its start-up: from imports and model being loaded to the last row
being written. It does what a job needs and nothing else: no queue, no database, no checks of rows, no
digests, no fsync, one part file per process and no joining.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PROCESSES = 2
# 2 to 4 MiB is where the parser is fastest on one thread; smaller and larger blocks both lose.
CSV_BLOCK = 4 << 20


def in_halves(module: str, *arguments: str) -> None:
    """Run ``module`` once for each part, the part's number as last argument; print the times."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *arguments]
    children = [
        subprocess.Popen([*command, str(part)], env=environment, stdout=subprocess.PIPE)
        for part in range(PROCESSES)
    ]
    times = []
    for child in children:
        printed, _ = child.communicate()
        if child.returncode:
            sys.exit(child.returncode)
        times.append(json.loads(printed))
    print(json.dumps(times))


def score_part(model_path: str, source: str, folder: str, part: int) -> None:
    """Score one half of the file."""
    import joblib  # noqa: PLC0415 - the parent must not pay for what only the children need
    import numpy as np  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    model = joblib.load(model_path)
    features = list(model.feature_names_in_)
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    ready, cpu = time.time(), time.process_time()
    blocks = _csv_blocks if source.endswith(".csv") else _row_groups
    writer = None
    for table in blocks(source, part, ["id", *features]):
        probabilities = model.predict_proba(_matrix(np, table, features))
        scored = _scored(np, table, model.classes_, probabilities)
        if writer is None:
            numbers = scored.schema.names
            writer = pq.ParquetWriter(
                Path(folder) / f"part-{part}.parquet",
                scored.schema,
                compression="zstd",
                use_dictionary=False,
                column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
            )
        writer.write_table(scored)
    if writer is not None:
        writer.close()
    print(json.dumps({"seconds": time.time() - ready, "cpu_seconds": time.process_time() - cpu}))


def _matrix(np: Any, table: pa.Table, features: list[str]) -> np.ndarray:
    """Column order: that is how Arrow has it, and what scikit-learn gets from a DataFrame."""
    matrix = np.empty((len(table), len(features)), order="F")
    for position, name in enumerate(features):
        matrix[:, position] = table.column(name).to_numpy()
    return matrix  # type: ignore[no-any-return]


def _scored(np: Any, table: pa.Table, classes: np.ndarray, probabilities: np.ndarray) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - see score_part

    columns = {"id": table.column("id"), "prediction": classes[np.argmax(probabilities, axis=1)]}
    columns |= {f"probability_{label}": probabilities[:, i].copy() for i, label in enumerate(classes)}
    return pa.table(columns)


def _csv_blocks(source: str, part: int, columns: list[str]) -> Iterator[pa.Table]:
    """Half of the file, by bytes, in blocks that end with a line."""
    import pyarrow as pa  # noqa: PLC0415 - see score_part
    from pyarrow import csv  # noqa: PLC0415

    convert = csv.ConvertOptions(
        include_columns=columns,
        column_types={name: pa.int64() if name == "id" else pa.float64() for name in columns},
    )
    with Path(source).open("rb", buffering=0) as file:
        names = file.read(1 << 16).split(b"\n", 1)[0].decode().split(",")
        start, stop = _line_start(file, part), _line_start(file, part + 1)
        read = csv.ReadOptions(column_names=names, use_threads=False, block_size=CSV_BLOCK + 1)
        while start < stop:
            data = os.pread(file.fileno(), min(CSV_BLOCK, stop - start), start)
            length = data.rfind(b"\n") + 1
            yield csv.read_csv(pa.py_buffer(data).slice(0, length), read, None, convert)
            start += length


def _line_start(file: Any, part: int) -> int:
    """Where the first line of a part starts."""
    size = os.fstat(file.fileno()).st_size
    if part == PROCESSES:
        return size
    position = size * part // PROCESSES
    return position + os.pread(file.fileno(), 1 << 16, position).index(b"\n") + 1


def _row_groups(source: str, part: int, columns: list[str]) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - see score_part

    file = pq.ParquetFile(source)
    groups = file.num_row_groups
    for group in range(groups * part // PROCESSES, groups * (part + 1) // PROCESSES):
        yield file.read_row_group(group, columns=columns, use_threads=False)


if __name__ == "__main__":
    model, source, folder, *part = sys.argv[1:]
    if part:
        score_part(model, source, folder, int(part[0]))
    else:
        in_halves("benchmarks.limit", model, source, folder)
