"""The options of `rowmill models add` that say how good a version must be, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from base.settings import Settings
from models.errors import ModelError
from models.gate import METRICS, Bar, BarMissed, Evaluation, shown
from rowmill.cli.exits import ExitCode, say, stop
from rowmill.cli.session import print_json
from rowmill.cli.texts import table

if TYPE_CHECKING:
    from jobs.gating import Gate
    from models.registry import Registry

Holdout = Annotated[
    Path | None,
    typer.Option(
        parser=lambda text: Path(text).expanduser(),
        metavar="FILE",
        help="Labelled rows that training never saw: the version is measured on them. "
        "The label is --target; of images it is the folder that they lie in.",
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'accuracy>=0.85'",
        help=f"Add it only if the holdout shows this; may be repeated. Metrics: {', '.join(METRICS)}.",
    ),
]
BetterThan = Annotated[
    str | None,
    typer.Option(
        metavar="production",
        help="Add it only if it does better on the holdout than this alias or version, in the metric that "
        "the first --require names (else accuracy or rmse).",
    ),
]


@dataclass(frozen=True)
class Asked:
    """What is asked of a new version; without a holdout nothing is."""

    holdout: Path | None
    target: str | None
    bars: Sequence[Bar]
    better_than: str | None

    def gate(self, registry: Registry) -> Gate | None:
        """The gate that the version has to pass, if there is any."""
        from jobs.gating import Gate  # noqa: PLC0415 - slow, see registry_session

        if self.holdout is None:
            return None
        return Gate(registry, Settings(), self.holdout, self.target, self.bars, self.better_than)


def asked(
    holdout: Path | None, targets: Sequence[str], require: Sequence[str], better_than: str | None
) -> Asked:
    """The options together; wrong usage is told before anything is done."""
    if holdout is None and (require or better_than):
        raise typer.BadParameter("--require and --better-than need --holdout FILE, labelled rows")
    if holdout is not None and len(targets) > 1:
        raise typer.BadParameter("--holdout is for models of one output: name one --target")
    try:
        bars = [Bar.parse(text) for text in require]
    except ModelError as wrong:
        raise typer.BadParameter(wrong.message) from None
    return Asked(holdout, targets[0] if targets else None, bars, better_than)


def stop_below(missed: BarMissed, as_json: bool) -> NoReturn:
    """Say what a version that was not added lacks, and end."""
    if as_json:
        print_json({"added": False, "evaluation": missed.evaluation.model_dump(mode="json")})
    else:
        say(report(missed.evaluation))
    stop(f"{missed.message} ({missed.code})", ExitCode.BAR_MISSED)


def report(evaluation: Evaluation) -> str:
    """What was asked and found, in lines."""
    rival = evaluation.rival
    rows = [("METRIC", "FOUND", *([rival.version] if rival else []), "ASKED", "")]
    for metric, value in evaluation.metrics.items():
        others = [shown(rival.metrics.get(metric))] if rival else []
        checks = [check for check in evaluation.checks if check.metric == metric]
        asked = ", ".join(check.asked for check in checks) or "-"
        verdict = "missed" if any(not check.met for check in checks) else "ok" if checks else ""
        if value is not None or checks:
            rows.append((metric, shown(value), *others, asked, verdict))
    skipped = f", {evaluation.unlabelled:,} without a label" if evaluation.unlabelled else ""
    return f"{table(rows)}\non {evaluation.rows:,} rows of {evaluation.holdout}{skipped}"
