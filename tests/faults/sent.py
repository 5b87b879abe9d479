"""What the jobs of a world are made of: one file of each kind, its options, and the right answers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeRegressor

from models.adding import NewVersion
from models.manifest import ImageSpec
from models.registry import Registry
from tests.builders import trained_wine
from tests.hostile_archives import zipped
from tests.unit.models.picturing import encoded, noise

PICTURES = 150
SIDE = 2


@dataclass(frozen=True)
class Sent:
    """A file under its name, the query that it is sent with, and what its rows are predicted to be."""

    name: str
    query: str
    body: bytes
    expected: list[Any]


def sent_files(registry: Registry, folder: Path) -> Iterator[Sent]:
    """Add a model of tables and one of images, and give each kind of input; all are cut into three chunks."""
    model, sample = trained_wine(folder)
    registry.add(NewVersion("wine", model, sample=sample))
    rows = pd.read_csv(sample)
    expected = list(joblib.load(model).predict(rows))
    query = "model=wine&chunk_rows=60"
    yield Sent("csv", query, sample.read_bytes(), expected)
    yield Sent("parquet", query, rows.to_parquet(row_group_size=50), expected)
    yield from _archives(registry, folder)


def _archives(registry: Registry, folder: Path) -> Iterator[Sent]:
    pixels = [noise(SIDE, SIDE, 1, seed) for seed in range(PICTURES)]
    spec = ImageSpec(width=SIDE, height=SIDE, mode="L", high=255)
    seen = np.array([one.reshape(-1) for one in pixels], dtype=float)
    tree = DecisionTreeRegressor(random_state=0).fit(seen, seen.sum(axis=1))
    joblib.dump(tree, folder / "pixels.joblib")
    registry.add(NewVersion("pixels", folder / "pixels.joblib", image=spec))
    pictures = {f"{number:03}.png": encoded(one) for number, one in enumerate(pixels)}
    expected = list(tree.predict(seen))
    query = "model=pixels&chunk_rows=60"
    yield Sent("zip", query, zipped(pictures), expected)
    yield Sent("tar.gz", query, _packed(pictures), expected)


def _packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()
