"""`rowmill models …`, the rest of a version's life: aliases and their history, retiring, removing.

Who did it is the user that is logged in to the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from base.times import rfc3339
from models.errors import ModelError
from models.names import Reference, parse
from rowmill.cli.exits import say
from rowmill.cli.registry_session import AsJson, opened_registry, user
from rowmill.cli.session import print_json
from rowmill.cli.texts import table

if TYPE_CHECKING:
    from models.registry import Event, Expected

PRODUCTION = "production"
Note = Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the history.")]
NOWHERE = "none"
If = Annotated[
    str | None,
    typer.Option(
        "--if",
        metavar="NAME@VERSION",
        help=f"Only if the alias points there now ({NOWHERE}: nowhere); else exit 7, and nothing is moved.",
    ),
]
Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Which version.")]


def alias(
    reference: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Which version.")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Name to point at it, such as production.")],
    note: Note = None,
    if_: If = None,
) -> None:
    """Point ALIAS at a version: `production` is what the bare NAME then means."""
    with opened_registry() as registry:
        manifest = registry.resolve(reference)
        name = manifest.name
        registry.set_alias(name, manifest.version, alias, user(), note, expected=_expected(name, if_))
    say(f"{manifest.name}@{alias} is now {manifest.reference}")


def unalias(
    reference: Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="Which alias.")],
    note: Note = None,
    if_: If = None,
) -> None:
    """Take an alias away; its history stays."""
    with opened_registry() as registry:
        name, alias = _alias(reference)
        move = registry.drop_alias(name, alias, user(), note, expected=_expected(name, if_))
    say(f"{name}@{alias} is gone; it pointed at {name}@{move.before}")


def rollback(
    reference: Annotated[
        str, typer.Argument(metavar="NAME[@ALIAS]", help="Which alias; production if none is named.")
    ],
    note: Note = None,
    if_: If = None,
) -> None:
    """Point an alias at the version that it pointed at before; once more: at the one before that.

    The split and the shadow that it had there come back too.
    """
    with opened_registry() as registry:
        name, alias = _alias(reference, PRODUCTION)
        move = registry.roll_back(name, alias, user(), note, expected=_expected(name, if_))
    now = "gone again" if move.version is None else f"{name}@{move.version} again"
    spread = f" ({move.traffic})" if move.traffic else ""
    say(f"{name}@{alias} is {now}{spread}; it was {_place(name, move.before)}")
    for version in move.retired:
        say(f"{name}@{version}, which it sent requests to before, is retired and gets none")


def history(
    reference: Annotated[
        str, typer.Argument(metavar="NAME[@ALIAS]", help="Which model, or which of its aliases.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what happened to the versions and aliases of a model, oldest first: when, by whom and why."""
    with opened_registry() as registry:
        name, version, alias = parse(reference)
        if version is not None:
            raise ModelError(
                "invalid_reference", f"{reference} is a version; say {name}, or one of its aliases."
            )
        events = registry.history(name, alias)
    if as_json:
        for event in events:
            print_json({"model": name, **event.document()})
        return
    rows = [("WHEN", "WHO", "WHAT", "FROM", "TO", "NOTE"), *(_row(name, event) for event in events)]
    typer.echo(table(rows))


def retire(reference: Version, note: Note = None) -> None:
    """Take a version out of use; refused while an alias points at it or an unfinished job needs it."""
    from jobs.pinned import unended_jobs  # noqa: PLC0415 - slow, see registry_session

    with opened_registry() as registry:
        name, version = _version(reference)
        registry.retire(name, version, unended_jobs, user(), note)
    say(f"{reference} is retired; `rowmill models rm {reference}` removes its files")


def remove(reference: Version) -> None:
    """Remove the files of a retired version; what is known about it stays."""
    with opened_registry() as registry:
        name, version = _version(reference)
        registry.remove(name, version, user())
    say(f"the files of {reference} are removed")


COMMANDS: Sequence[Callable[..., None]] = (alias, unalias, rollback, history, retire)


def _alias(reference: str, default: str | None = None) -> tuple[str, str]:
    """Name and alias of a reference that names no version."""
    parsed = parse(reference)
    alias = parsed.alias or (default if parsed.version is None else None)
    if alias is None:
        raise ModelError("invalid_reference", f"Name an alias, such as {parsed.name}@{PRODUCTION}.")
    return parsed.name, alias


def _expected(name: str, reference: str | None) -> Expected | None:
    """Where an alias of this model must point, if anything is expected of it."""
    from models.registry import Expected  # noqa: PLC0415 - slow, see registry_session

    if reference is None:
        return None
    if reference == NOWHERE:
        return Expected(None)
    of, version = _version(reference)
    if of != name:
        raise ModelError("invalid_reference", f"{reference} is no version of {name}, such as {name}@1.")
    return Expected(version)


def _version(reference: str) -> tuple[str, int]:
    """Name and number: an alias might mean another version by the time that it is looked at."""
    match parse(reference):
        case Reference(name, int(version), None):
            return name, version
        case parsed:
            raise ModelError("invalid_reference", f"Name the version by its number, such as {parsed.name}@1.")


def _place(name: str, version: int | None) -> str:
    return "-" if version is None else f"{name}@{version}"


def _row(name: str, event: Event) -> tuple[str, ...]:
    what = event.event if event.alias is None else event.alias
    if event.event == "rollback":
        what += " (rollback)"
    when = rfc3339(event.at)[:16].replace("T", " ")
    before = "-" if event.alias is None else _place(name, event.before)
    after = _place(name, event.version)
    if event.traffic is not None:
        what, after = f"{what} (traffic)", str(event.traffic)
    return when, event.by or "-", what, before, after, event.note or "-"
