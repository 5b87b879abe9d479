"""The options that commands share, each declared once with its help text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_JOB = "Options of the job"
_CSV = "How to read CSV"


def seconds(text: str) -> float:
    """`90`, `90s`, `10m`, `2h` or `1d` as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is not a length of time such as 90s, 10m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def byte_count(text: str) -> int:
    """`500`, `20kB`, `10MB`, `1.5GB` or `2TB` as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip(), re.IGNORECASE)
    if not match:
        raise typer.BadParameter(f"{text!r} is not a size such as 500MB or 10GB")
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2].lower() or " "))


def input_file(text: str) -> Path:
    """A path that there is, or `-` as it is."""
    path = Path(text)
    if text != "-" and not path.exists():
        raise typer.BadParameter(f"{text} does not exist")
    return path


File = Annotated[
    Path,
    typer.Argument(
        parser=input_file,
        metavar="FILE",
        help="File to score: CSV, JSON Lines, Parquet, plain, gzip or zstd, a zip or tar of images, or a "
        "folder of images; - reads stdin.",
    ),
]
JobId = Annotated[str, typer.Argument(help="Id of the job.", metavar="JOB")]
JobIds = Annotated[list[str], typer.Argument(help="Ids of the jobs.", metavar="JOB...")]

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Model: NAME, NAME@VERSION or NAME@ALIAS; default: the server's."),
]
CloneModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Model: NAME, NAME@VERSION or NAME@ALIAS; default: the job's version."
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="File to write, - for stdout; default: INPUT.scored.parquet in this folder."
    ),
]
FormatName = Annotated[
    str | None,
    typer.Option("--format", help="parquet, csv or jsonl; default: by the extension of -o, else parquet."),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        parser=seconds,
        metavar="TIME",
        help="Stop waiting after TIME (90s, 10m, 2h), exit 4; the job goes on.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit 3 if the job succeeded but some rows have errors.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, one document a line.")]

Name = Annotated[str | None, typer.Option(help="Label of the job.", rich_help_panel=_JOB)]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="Tag of the job; may be repeated.", rich_help_panel=_JOB)
]
Keep = Annotated[
    str | None,
    typer.Option(help="Input columns to copy into the result: id,region or * for all.", rich_help_panel=_JOB),
]
Outputs = Annotated[str | None, typer.Option(help="Extra output columns: confidence.", rich_help_panel=_JOB)]
OnError = Annotated[
    str | None,
    typer.Option(
        help="What a bad row does: null (no prediction and a reason, the default) or fail (the job).",
        metavar="null|fail",
        rich_help_panel=_JOB,
    ),
]
MaxRowErrors = Annotated[
    str | None,
    typer.Option(
        help="Fail the job beyond so many bad rows: 100 or 1%.", metavar="N|N%", rich_help_panel=_JOB
    ),
]
ChunkRows = Annotated[
    int | None, typer.Option(help="Rows in each chunk; default: chosen for the model.", rich_help_panel=_JOB)
]
Ttl = Annotated[
    str | None,
    typer.Option(help="How long the result is kept, such as 7d.", metavar="TIME", rich_help_panel=_JOB),
]
Deadline = Annotated[
    str | None,
    typer.Option(
        help="Cancel the job if it has not ended by then, such as 2h.", metavar="TIME", rich_help_panel=_JOB
    ),
]
Delimiter = Annotated[
    str | None, typer.Option(help="comma, semicolon, tab or pipe; default: found out.", rich_help_panel=_CSV)
]
Decimal = Annotated[str | None, typer.Option(help="Decimal mark of numbers: . or ,", rich_help_panel=_CSV)]
Charset = Annotated[
    str | None, typer.Option(help="Encoding, if it is not UTF-8, such as latin-1.", rich_help_panel=_CSV)
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line is data, not names.", rich_help_panel=_CSV)
]
NullValues = Annotated[
    str | None,
    typer.Option(
        help="Words that mean missing in numeric columns; default: NA,NaN,null.", rich_help_panel=_CSV
    ),
]
