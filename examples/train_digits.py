"""Handwritten digits from images of 8 x 8 grey pixels: a support vector classifier, and a zip of PNG files.

rowmill models add digits OUT_DIR/digits.joblib --image 8x8 --mode L --scale 0..16
rowmill score OUT_DIR/digits.zip -m digits
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from training import Trained, finish, options

WHITE = 16  # the brightest pixel of the data set; 255 in a PNG


def as_png(pixels: np.ndarray) -> bytes:
    """One digit as the PNG file that a scanner would have written."""
    out = io.BytesIO()
    Image.fromarray(np.round(pixels.reshape(8, 8) * 255 / WHITE).astype(np.uint8), mode="L").save(out, "PNG")
    return out.getvalue()


def write_archive(path: Path, images: np.ndarray, names: Iterable[str]) -> None:
    """A zip with one PNG per digit, in order; the same bytes every time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in zip(names, images, strict=True):
            archive.writestr(zipfile.ZipInfo(f"{name}.png"), as_png(pixels))


def main() -> None:
    asked = options(__doc__)
    folder = asked.folder
    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(images, labels, test_size=0.25, random_state=0)
    model = SVC(gamma=0.001).fit(train, train_labels)
    write_archive(folder / "digits.zip", images, (f"digit-{number:04}" for number in range(len(images))))
    # an image's label is the folder that it lies in
    names = (f"{label}/{number:04}" for number, label in enumerate(test_labels))
    write_archive(folder / "digits.holdout.zip", test, names)
    trained = Trained(
        name="digits",
        model=model,
        metrics={"accuracy": model.score(test, test_labels)},
        held_back=f"{len(test)} images",
        require="accuracy>=0.95",
        holdout=folder / "digits.holdout.zip",
        options=["--image", "8x8", "--mode", "L", "--scale", "0..16"],
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
