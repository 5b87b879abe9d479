"""``python -m benchmarks.decoders``: what decoders cost, side by side, and how far their pixels differ.

A JPEG of 1600 x 1200 to 64 x 64 colour pixels, and a PNG of 28 x 28 grey ones. Contestants take turns, on one
thread. simplejpeg and OpenCV are no part of Rowmill: they take part if whoever runs this has installed them
(``pip install simplejpeg opencv-python-headless``). What followed from it: docs/decisions/0008.
"""

from __future__ import annotations

import importlib
import io
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import facts
from models.images import DRAFT_GAP, decode_picture
from models.manifest import ImageSpec

ROUNDS = 15
SECONDS_A_TURN = 0.1
PHOTO, SIDE, ICON = (1600, 1200), 64, 28
FULL = ImageSpec(width=SIDE, height=SIDE, mode="RGB", resize="bilinear")
DRAFT = FULL.model_copy(update={"draft": True})
GREY = ImageSpec(width=ICON, height=ICON, mode="L")

Decoder = Callable[[bytes], np.ndarray]


def main() -> None:
    """Measure and print Markdown."""
    print("\n".join(f"- {name}: {value}" for name, value in facts().items() if name != "celery"))
    photo, icon = photograph(), saved(np.random.default_rng(1).integers(0, 256, (ICON, ICON)), "PNG")
    _show(f"JPEG {PHOTO[0]} x {PHOTO[1]}, {len(photo):,} bytes, to {SIDE} x {SIDE} RGB", photo, _for_jpeg())
    _show(f"PNG {ICON} x {ICON}, {len(icon):,} bytes, grey", icon, _for_png())


def photograph() -> bytes:
    """Soft patches of colour with some grain: as hard to pack as a photograph."""
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    soft = Image.fromarray(patches).resize(PHOTO, Image.Resampling.BICUBIC)
    grain = generator.normal(scale=5.0, size=(PHOTO[1], PHOTO[0], 1))
    return saved(np.clip(np.asarray(soft) + grain, 0, 255), "JPEG")


def saved(pixels: np.ndarray, form: str) -> bytes:
    """Pixels as a file."""
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, form, quality=85)
    return out.getvalue()


def _for_jpeg() -> dict[str, Decoder]:
    found: dict[str, Decoder] = {
        "Pillow, full": _pillow,
        "Pillow, draft": _pillow_draft,
        "Rowmill": lambda data: decode_picture(data, FULL),
        "Rowmill, --draft": lambda data: decode_picture(data, DRAFT),
    }
    if find_spec("simplejpeg"):
        found |= {"simplejpeg, full": _simplejpeg(0), "simplejpeg, scaled": _simplejpeg(DRAFT_GAP * SIDE)}
    if find_spec("cv2"):
        found |= {"OpenCV, full": _opencv("IMREAD_COLOR"), "OpenCV, 1/8": _opencv("IMREAD_REDUCED_COLOR_8")}
    return found


def _for_png() -> dict[str, Decoder]:
    found: dict[str, Decoder] = {
        "Pillow": lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("L")),
        "Rowmill": lambda data: decode_picture(data, GREY),
    }
    if find_spec("cv2"):
        found["OpenCV"] = _opencv_grey()
    return found


def _small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _pillow(data: bytes) -> np.ndarray:
    return _small(Image.open(io.BytesIO(data)))


def _pillow_draft(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (DRAFT_GAP * SIDE, DRAFT_GAP * SIDE))
    return _small(image)


def _simplejpeg(least: int) -> Decoder:
    simplejpeg: Any = importlib.import_module("simplejpeg")

    def decode(data: bytes) -> np.ndarray:
        return _small(Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least)))

    return decode


def _opencv(mode: str) -> Decoder:
    cv2: Any = importlib.import_module("cv2")
    cv2.setNumThreads(1)

    def decode(data: bytes) -> np.ndarray:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), getattr(cv2, mode))
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))

    return decode


def _opencv_grey() -> Decoder:
    cv2: Any = importlib.import_module("cv2")
    return lambda data: np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))


def _show(title: str, data: bytes, decoders: dict[str, Decoder]) -> None:
    times = _measure(data, decoders)
    exact = next(iter(decoders.values()))(data).astype(int)
    print(f"\n{title}\n\n| decoder | median CPU ms | least | most | mean difference | largest |")
    print("|---|---|---|---|---|---|")
    for name, taken in times.items():
        away = np.abs(decoders[name](data).astype(int) - exact)
        numbers = [statistics.median(taken), min(taken), max(taken)]
        shown = " | ".join(f"{number * 1e3:.3f}" for number in numbers)
        print(f"| {name} | {shown} | {away.mean():.2f} | {away.max()} |")


def _measure(data: bytes, decoders: dict[str, Decoder]) -> dict[str, list[float]]:
    """CPU seconds of one call, by turns: what else runs on the machine hardly shows in them."""
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(ROUNDS):
        for name, decode in decoders.items():
            times[name].append(_one_call(data, decode))
    return times


def _one_call(data: bytes, decode: Decoder) -> float:
    began, calls = time.process_time(), 0
    while time.process_time() - began < SECONDS_A_TURN:
        decode(data)
        calls += 1
    return (time.process_time() - began) / calls


if __name__ == "__main__":
    main()
