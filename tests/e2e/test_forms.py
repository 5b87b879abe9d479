"""Files and pictures in forms (`curl -F`), larger than any buffer on their way."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.e2e.conftest import Example
from tests.e2e.serving import curl, result, wait

ROWS = 30_000


def test_a_form_takes_a_file_of_some_megabytes(
    url: str, examples: dict[str, Example], tmp_path: Path
) -> None:
    rows = examples["wine"].rows.sample(ROWS, replace=True, random_state=5)
    rows.to_csv(tmp_path / "wine.csv", index=False)
    assert (tmp_path / "wine.csv").stat().st_size > 1 << 20
    status, job = curl("-F", f"file=@{tmp_path / 'wine.csv'}", "-F", "model=wine", f"{url}/jobs")
    assert status == 202, job
    ended = wait(url, job["id"])
    assert (ended["status"], ended["rows"]["failed"]) == ("succeeded", 0)
    expected = examples["wine"].estimator.predict(rows)  # type: ignore[attr-defined]
    assert result(url, ended)["prediction"].to_pylist() == expected.tolist()


def test_a_file_without_any_newline_in_a_form_is_read_to_its_end(url: str, tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(b"x" * (2 << 20))
    status, problem = curl("-F", f"file=@{tmp_path / 'noise.bin'}", "-F", "model=wine", f"{url}/jobs")
    assert (status, problem["code"]) == (400, "newlines_stripped")


def test_a_form_takes_a_large_picture(url: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 600), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    (tmp_path / "noise.png").write_bytes(data.getvalue())
    assert len(data.getvalue()) > 1 << 18
    status, answer = curl("-F", f"image=@{tmp_path / 'noise.png'}", "-F", "model=digits", f"{url}/predict")
    assert status == 200, answer
    assert answer["model"]["name"] == "digits"
