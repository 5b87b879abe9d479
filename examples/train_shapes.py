"""Which shape is in a picture: a model trained from a folder of pictures, one subfolder for each class.

    python examples/train_shapes.py OUT_DIR            # draws the pictures itself, into OUT_DIR/shapes
    python examples/train_shapes.py OUT_DIR PICTURES   # uses yours: PICTURES/<class>/<any name>

    rowmill models add shapes OUT_DIR/shapes.joblib --image 24x24 --mode L --resize bilinear --scale 0..1
    rowmill score OUT_DIR/shapes.zip -m shapes

Training goes through the same `decode_image` that serves the model, with the same ImageSpec, so that both see
the same numbers, to the bit. The pictures that were held back are written to OUT_DIR/shapes.zip.
"""

from __future__ import annotations

import math
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from training import Trained, finish, options

from models.errors import BadImage
from models.images import decode_image
from models.manifest import ImageSpec

# Said again in the options of `rowmill models add` above.
SPEC = ImageSpec(width=24, height=24, mode="L", resize="bilinear", high=1.0)
CORNERS = {"circle": 40, "square": 4, "triangle": 3}
PICTURES_A_CLASS = 120
TURN = math.pi / 12


def draw(folder: Path) -> None:
    """Shapes of any bright colour, place and angle, as JPEG and PNG of various sizes; always the same."""
    generator = np.random.default_rng(0)
    for name, corners in CORNERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(PICTURES_A_CLASS):
            form = ("jpg", "png")[number % 2]
            shape(generator, corners).save(folder / name / f"{name}-{number:03}.{form}")


def shape(generator: np.random.Generator, corners: int) -> Image.Image:
    """One picture: a regular polygon on a plain ground."""
    width, height = (int(side) for side in generator.integers(60, 200, 2))
    ground, colour = generator.integers(0, 70, 3), generator.integers(150, 256, 3)
    picture = Image.new("RGB", (width, height), tuple(ground.tolist()))
    middle = generator.uniform(0.45, 0.55, 2) * (width, height)
    radii = generator.uniform(0.3, 0.4) * np.array([width, height])
    angles = 2 * math.pi * np.arange(corners) / corners + math.pi / 4 + generator.uniform(-TURN, TURN)
    points = middle + radii * np.column_stack([np.cos(angles), np.sin(angles)])
    ImageDraw.Draw(picture).polygon([tuple(point) for point in points.tolist()], fill=tuple(colour.tolist()))
    return picture


def read(folder: Path) -> tuple[list[Path], np.ndarray, list[str]]:
    """Every picture below ``folder``: its path, numbers, and the subfolder that it lies in."""
    paths, rows, labels = [], [], []
    for path in sorted(path for path in folder.glob("*/**/*") if path.is_file()):
        try:
            rows.append(decode_image(path.read_bytes(), SPEC))
        except BadImage as bad:
            print(f"left out {path}: {bad.message}", file=sys.stderr)
            continue
        paths.append(path)
        labels.append(path.relative_to(folder).parts[0])
    return paths, np.stack(rows), labels


def write_archive(target: Path, paths: list[Path], folder: Path) -> None:
    """A zip of the pictures under their paths in the folder; the same bytes every time."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in paths:
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())


def main() -> None:
    asked = options(__doc__, takes_pictures=True)
    folder = asked.pictures or asked.folder / "shapes"
    if asked.pictures is None:
        draw(folder)
    paths, rows, labels = read(folder)
    train, test = train_test_split(np.arange(len(paths)), test_size=0.25, random_state=0, stratify=labels)
    classes = np.array(labels)
    model = SVC().fit(rows[train], classes[train])
    # pictures that lie in the folders of their classes are labelled rows held back as they are
    write_archive(asked.folder / "shapes.zip", [paths[at] for at in sorted(test)], folder)
    trained = Trained(
        name="shapes",
        model=model,
        metrics={"accuracy": model.score(rows[test], classes[test])},
        held_back=f"{len(test)} images",
        require="accuracy>=0.9",
        holdout=asked.folder / "shapes.zip",
        options=["--image", "24x24", "--mode", "L", "--resize", "bilinear", "--scale", "0..1"],
    )
    finish(trained, asked)


if __name__ == "__main__":
    main()
