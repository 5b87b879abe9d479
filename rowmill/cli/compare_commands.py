"""`rowmill compare`: what changes from one version to another, on a file of the user's."""

from __future__ import annotations

import re
from typing import Annotated, cast

import typer

from rowmill.cli import compare_texts, options
from rowmill.cli.exits import ExitCode, say, stop
from rowmill.cli.progress import reporting
from rowmill.cli.session import connected, print_json
from rowmill.client import Comparison, JobOptions, JobResource


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(compare)


def share(text: str) -> float:
    """`1%` or `0.01` as a share."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    found = float(match[1]) / (100 if match[2] else 1) if match else 2.0
    if found > 1:
        raise typer.BadParameter(f"{text!r} is not a share such as 1% or 0.01")
    return found


Models = Annotated[
    list[str],
    typer.Option(
        "--model", "-m", help="The two versions to compare: twice NAME, NAME@VERSION or NAME@ALIAS."
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of the true labels or numbers; a,b for several targets."),
]
FailOnFlips = Annotated[
    float | None,
    typer.Option(
        parser=share, metavar="SHARE", help="Exit 6 if more than this share of labels differ: 1% or 0.01."
    ),
]


def compare(
    file: options.File,
    *,
    model: Models,
    labels: Labels = None,
    fail_on_flips: FailOnFlips = None,
    timeout: options.Timeout = None,
    as_json: options.AsJson = False,
    tags: options.Tags = None,
    ttl: options.Ttl = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    charset: options.Charset = None,
    no_header: options.NoHeader = False,
    null_values: options.NullValues = None,
) -> None:
    """Score FILE with two versions, and tell what changes from the first to the second.

    The file is sent once; both jobs stay on the server. TIME is for each of them.
    """
    if len(model) != 2:
        raise typer.BadParameter(f"two models are compared, not {len(model)}", param_hint="--model")
    chosen = cast(
        JobOptions,
        {
            "tags": tags,
            "ttl": ttl,
            "delimiter": delimiter,
            "decimal": decimal,
            "charset": charset,
            "header": not no_header,
            "null_values": null_values,
        },
    )
    if str(file) == "-":
        raise typer.BadParameter("name a file; stdin cannot be compared", param_hint="FILE")
    try:
        with connected() as client, reporting() as report:
            seen: set[str] = set()

            def scored(job: JobResource) -> None:
                if job["id"] not in seen:
                    say(f"job {client.url}/jobs/{job['id']}")
                    seen.add(job["id"])
                report.scored(job)

            found = client.compare(
                file,
                model,
                labels.split(",") if labels else None,
                timeout=timeout,
                sent=report.sent,
                scored=scored,
                **chosen,
            )
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--labels") from wrong
    except KeyboardInterrupt:
        stop("interrupted; what was submitted goes on: `rowmill ps` shows it", ExitCode.INTERRUPTED)
    if as_json:
        print_json(found)
    else:
        typer.echo(compare_texts.description(found))
    _judge(found, fail_on_flips)


def _judge(found: Comparison, most: float | None) -> None:
    """End with a code of its own if more labels differ than may."""
    if most is None:
        return
    for target in found["targets"]:
        flipped = target["flipped"]
        if flipped is None:
            stop("--fail-on-flips counts labels; these models predict numbers", ExitCode.USAGE)
        if flipped > most * found["compared"]:
            stop(f"{flipped:,} labels differ, more than {most:.4g} of all", ExitCode.BAR_MISSED)
