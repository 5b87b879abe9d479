"""The bare loop over an image set: two processes decode and predict one half each, and that is all.

``python -m benchmarks.image_loop MODEL ZIP FOLDER`` prints how long each took beyond its start-up, as
``benchmarks.limit`` does. Each process opens the archive, decodes its members with Pillow, predicts a
thousand at a time, and writes one Parquet file: no queue, no checks, and no answer to a bad picture.
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
from pathlib import Path

from benchmarks.limit import PROCESSES, in_halves

BATCH = 1_000


def score_part(model_path: str, source: str, folder: str, part: int) -> None:
    """Score one half of the archive."""
    import joblib  # noqa: PLC0415 - the parent must not pay for what only the children need
    import numpy as np  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from benchmarks.image_data import SETS  # noqa: PLC0415

    model, spec = joblib.load(model_path), SETS[Path(source).stem.split("-")[0]].spec
    assert spec.width is not None
    assert spec.height is not None
    size = (spec.width, spec.height)
    ready, cpu = time.time(), time.process_time()
    tables = []
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
        names = names[len(names) * part // PROCESSES : len(names) * (part + 1) // PROCESSES]
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            rows = np.empty((len(batch), *spec.shape))
            for row, name in enumerate(batch):
                with archive.open(name) as member, Image.open(member) as image:
                    picture = image.convert(spec.mode).resize(size, Image.Resampling.BOX)
                    rows[row] = np.asarray(picture).reshape(-1)
            probabilities = model.predict_proba(rows)
            columns = {"file": batch, "prediction": model.classes_[np.argmax(probabilities, axis=1)]}
            columns |= {f"probability_{label}": probabilities[:, i] for i, label in enumerate(model.classes_)}
            tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), Path(folder) / f"part-{part}.parquet", compression="zstd")
    print(json.dumps({"seconds": time.time() - ready, "cpu_seconds": time.process_time() - cpu}))


if __name__ == "__main__":
    model, source, folder, *part = sys.argv[1:]
    if part:
        score_part(model, source, folder, int(part[0]))
    else:
        in_halves("benchmarks.image_loop", model, source, folder)
