"""The options of `rowmill models add` about unusual values, and the policies that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.manifest import Policy
    from models.policies import Policies

OnUnusual = Annotated[
    list[str] | None,
    typer.Option(
        metavar="POLICY|COLUMN=POLICY",
        help="Values that training had nothing like: warn (default), refuse or clip; may be repeated.",
    ),
]
MaxZ = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        min=0,
        help="Unusual is also what is more standard deviations than this from the sample's mean.",
    ),
]


def policies(on_unusual: Sequence[str], max_z: float | None) -> Policies:
    """What was asked; raises typer.BadParameter for a policy that is not known or given twice."""
    from models.policies import Policies  # noqa: PLC0415 - slow, see models_commands

    given: dict[str, Policy] = {}
    for text in on_unusual:
        column, _, word = text.rpartition("=")
        if column in given:
            raise typer.BadParameter(f"--on-unusual names {column or 'the policy of all columns'} twice")
        given[column] = _policy(word)
    if max_z is not None and not max_z > 0:
        raise typer.BadParameter(f"--max-z is {max_z:g}; it counts standard deviations, say 6")
    return Policies(given.pop("", "warn"), given, max_z)


def _policy(word: str) -> Policy:
    match word:
        case "warn" | "refuse" | "clip":
            return word
    raise typer.BadParameter(f"--on-unusual can be warn, refuse or clip, not {word!r}")
