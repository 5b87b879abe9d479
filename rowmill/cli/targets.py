"""Where a result goes and in which format: decided, and refused, before any work is sent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import typer

from rowmill.client.resource import Format

EXTENSIONS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
FORMATS: tuple[Format, ...] = ("parquet", "csv", "jsonl")
INPUT_EXTENSIONS = {*EXTENSIONS, ".tsv", ".txt", ".json", ".zip", ".tar", ".tgz", ".gz", ".zst"}


@dataclass(frozen=True)
class Target:
    """A file to write, or stdout where `path` is None."""

    path: Path | None
    kind: Format


def choose(output: str | None, kind: str | None, input_name: str | None) -> Target:
    """The target that `-o` and `--format` mean; without `-o` a file in this folder, named after the input."""
    wanted = known(kind)
    if output is None and input_name:
        output = f"{_stem(input_name)}.scored.{wanted or 'parquet'}"
    if output in {None, "-"}:
        return _to_stdout(wanted or "parquet")
    path = Path(str(output))
    _check_writable(path)
    return Target(path, wanted or _by_extension(path))


def write_out(blocks: Iterable[bytes]) -> None:
    """Send bytes to stdout as they are."""
    for block in blocks:
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def known(kind: str | None) -> Format | None:
    """The format that a user named, if it is one."""
    if kind is None:
        return None
    for name in FORMATS:
        if kind == name:
            return name
    raise typer.BadParameter(f"unknown format {kind!r}; known: {', '.join(FORMATS)}", param_hint="--format")


def _by_extension(path: Path) -> Format:
    if not path.suffix:
        return "parquet"
    if path.suffix.lower() in EXTENSIONS:
        return EXTENSIONS[path.suffix.lower()]
    raise typer.BadParameter(f"{path.name}: no format is called {path.suffix}; add --format", param_hint="-o")


def _to_stdout(kind: Format) -> Target:
    if kind == "parquet" and sys.stdout.isatty():
        raise typer.BadParameter(
            "Parquet would only garble the terminal; name a file with -o", param_hint="-o"
        )
    return Target(None, kind)


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name the file to write", param_hint="-o")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}", param_hint="-o")
    if not os.access(path.parent, os.W_OK):
        raise typer.BadParameter(f"the folder {path.parent} cannot be written to", param_hint="-o")


def _stem(name: str) -> str:
    path = Path(name)
    while path.suffix.lower() in INPUT_EXTENSIONS:
        path = path.with_suffix("")
    return path.name
