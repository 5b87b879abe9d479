"""The options of `rowmill models add` that say how an image becomes numbers, and the spec that they make."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from models.manifest import ImageSpec

MODES = ("L", "RGB")
RESIZES = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
LAYOUTS = ("flat", "HWC", "CHW")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")

Image = Annotated[
    str | None,
    typer.Option("--image", metavar="WxH|any", help="The model takes images: scaled to WxH, or as they are."),
]
Mode = Annotated[
    str | None, typer.Option(metavar="L|RGB", help="Grey (the default) or colour, with --image.")
]
Resize = Annotated[
    str | None, typer.Option(metavar="FILTER", help=f"One of {', '.join(RESIZES)}; box if not given.")
]
Scale = Annotated[
    str | None, typer.Option(metavar="LO..HI", help="What pixels 0 and 255 become; 0..255 if not given.")
]
Mean = Annotated[
    str | None,
    typer.Option(metavar="M[,M,M]", help="Taken off the scaled numbers; one, or one a channel."),
]
Std = Annotated[
    str | None, typer.Option(metavar="S[,S,S]", help="What the rest is divided by; one, or one a channel.")
]
Layout = Annotated[
    str | None, typer.Option(metavar="flat|HWC|CHW", help="Shape of an image; flat (by rows) if not given.")
]
Draft = Annotated[
    bool, typer.Option("--draft", help="Decode large JPEG at reduced size: faster, slightly other pixels.")
]


def image_spec(
    size: str | None,
    mode: str | None,
    resize: str | None,
    scale: str | None,
    mean: str | None,
    std: str | None,
    layout: str | None,
    draft: bool,
) -> ImageSpec | None:
    """The spec, or None without --image. Raises typer.BadParameter, which names the option."""
    from pydantic import ValidationError  # noqa: PLC0415 - slow, and not needed by most commands

    from models.manifest import ImageSpec  # noqa: PLC0415

    given: dict[str, Any] = {
        "mode": _one_of("--mode", mode, MODES),
        "resize": _one_of("--resize", resize, RESIZES),
        "mean": _numbers("--mean", mean),
        "std": _numbers("--std", std),
        "layout": _one_of("--layout", layout, LAYOUTS),
        "draft": draft or None,
        **_scale(scale),
    }
    known = {name: value for name, value in given.items() if value is not None}
    if size is None:
        if known:
            raise typer.BadParameter("goes with --image WxH; give that too", param_hint=_hint(known))
        return None
    try:
        return ImageSpec.model_validate({**_size(size), **known})
    except ValidationError as refused:
        error = refused.errors()[0]
        hint = _hint(dict.fromkeys(map(str, error["loc"]))) or "--image"
        raise typer.BadParameter(error["msg"].removeprefix("Value error, "), param_hint=hint) from refused


def _hint(fields: dict[str, Any]) -> str:
    names = ["scale" if field in ("low", "high") else field for field in fields]
    return f"--{names[0]}" if names else ""


def _one_of(option: str, text: str | None, known: tuple[str, ...]) -> str | None:
    if text is not None and text not in known:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(known)}", param_hint=option)
    return text


def _size(text: str) -> dict[str, int]:
    """`8x8` as width and height; nothing for `any`."""
    if text == "any":
        return {}
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not match or not all(1 <= int(side) <= 4096 for side in match.groups()):
        problem = f"{text!r} is not WIDTHxHEIGHT, such as 28x28 (4096 at most), nor any"
        raise typer.BadParameter(problem, param_hint="--image")
    return {"width": int(match[1]), "height": int(match[2])}


def _scale(text: str | None) -> dict[str, float]:
    """`0..16` as low and high."""
    if text is None:
        return {}
    match = _RANGE.fullmatch(text)
    if not match:
        single = re.fullmatch(_NUMBER, text)
        hint = f"write 0..{text}" if single else "write LO..HI, such as 0..1 or -1..1"
        raise typer.BadParameter(f"{text!r} is not a range; {hint}", param_hint="--scale")
    return {"low": float(match[1]), "high": float(match[2])}


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """`0.485,0.456,0.406` as numbers."""
    if text is None:
        return None
    if not re.fullmatch(rf"{_NUMBER}(,{_NUMBER})*", text):
        raise typer.BadParameter(f"{text!r} is not of the form 0.5 or 0.5,0.5,0.5", param_hint=option)
    return tuple(map(float, text.split(",")))
