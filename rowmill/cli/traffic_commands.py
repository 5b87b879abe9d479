"""`rowmill models split` and `shadow`: how the single predictions of an alias are spread over versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import ModelError
from models.names import parse
from rowmill.cli.exits import say
from rowmill.cli.life_commands import Note
from rowmill.cli.registry_session import opened_registry, user

if TYPE_CHECKING:
    from models.traffic import Arm

Alias = Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="Whose single predictions.")]


def split(
    reference: Alias,
    arms: Annotated[
        list[str] | None, typer.Argument(metavar="NAME@VERSION=WEIGHT...", help="Two versions or more.")
    ] = None,
    sticky_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Rows with the same value here are answered by one version."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Let the version with most answer all again.")] = False,
    note: Note = None,
) -> None:
    """Spread the single predictions of an alias over versions by weight, until the alias is moved.

    The alias points at the version with the largest weight, which also scores the jobs. Requests with the
    same X-Rowmill-Key header are answered by one version, whatever --sticky-by says.
    """
    if off == bool(arms) or (off and sticky_by):
        raise typer.BadParameter("name the arms, such as churn@3=90 churn@4=10, or say --off only")
    from models.traffic import Traffic  # noqa: PLC0415 - slow, see registry_session

    with opened_registry() as registry:
        name, alias = _alias(reference)
        if off:
            now = registry.end_split(name, alias, user(), note)
        else:
            wanted = Traffic(tuple(_arm(name, text) for text in arms or ()), sticky_by)
            now = registry.split(name, alias, wanted, user(), note)
    say(f"{name}@{alias}: {now}")


def shadow(
    reference: Alias,
    challenger: Annotated[
        str | None, typer.Argument(metavar="NAME@VERSION", help="Scores the same rows, answers nobody.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Let nobody score copies any more.")] = False,
    note: Note = None,
) -> None:
    """Let a challenger score copies of an alias's single predictions, until the alias is moved."""
    if off == (challenger is not None):
        raise typer.BadParameter("name the challenger, such as churn@5, or say --off")
    with opened_registry() as registry:
        name, alias = _alias(reference)
        if challenger is None:
            now = registry.end_shadow(name, alias, user(), note)
        else:
            now = registry.shadow(name, alias, _version(name, challenger), user(), note)
    say(f"{name}@{alias}: {now}")


COMMANDS: Sequence[Callable[..., None]] = (split, shadow)


def _alias(reference: str) -> tuple[str, str]:
    parsed = parse(reference)
    if parsed.alias is None:
        raise ModelError("invalid_reference", f"Name an alias, such as {parsed.name}@production.")
    return parsed.name, parsed.alias


def _arm(name: str, text: str) -> Arm:
    from models.traffic import Arm  # noqa: PLC0415 - slow, see registry_session

    match = re.fullmatch(r"(.+)=(\d+(?:\.\d+)?)%?", text)
    if match is None:
        raise ModelError("invalid_split", f"{text!r} is not a version with its weight, such as {name}@3=90.")
    return Arm(_version(name, match[1]), float(match[2]))


def _version(name: str, reference: str) -> int:
    """The number in a reference to a version of this model."""
    parsed = parse(reference)
    if parsed.name != name or parsed.version is None:
        raise ModelError("invalid_reference", f"{reference!r} is no version of {name}, such as {name}@3.")
    return parsed.version
