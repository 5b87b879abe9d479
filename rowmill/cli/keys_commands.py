"""`rowmill keys …`: make, list and end API keys, in the database of the settings.

Only parsing and printing; ``base/access/keys.py`` does the work. SQLAlchemy is imported late, as for
`rowmill models`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.settings import Settings
from rowmill.cli.exits import ExitCode, say, stop
from rowmill.cli.options import AsJson, byte_count, seconds
from rowmill.cli.texts import size, table

if TYPE_CHECKING:
    from base.access.keys import KeyRecord
    from base.database import Database

app = typer.Typer(name="keys", help="Make and end API keys; needs no running server.", no_args_is_help=True)

ROLES = ("read", "submit", "admin")

Owner = Annotated[str, typer.Argument(help="Whose jobs it is for; several keys may have one owner.")]
RoleName = Annotated[str, typer.Option("--role", metavar="|".join(ROLES), help="What the key may do.")]
Name = Annotated[str, typer.Option(help="What it is for, such as laptop: shown by `rowmill keys ls`.")]
Expires = Annotated[
    float | None,
    typer.Option("--expires", parser=seconds, metavar="TIME", help="End the key after TIME, such as 90d."),
]


MaxOpenJobs = Annotated[
    int | None,
    typer.Option(min=0, help="Jobs of the owner that may be open at once; 0: any number."),
]
MaxStored = Annotated[
    int | None,
    typer.Option(
        parser=byte_count, metavar="SIZE", help="Inputs and results of the owner, such as 10GB; 0: any size."
    ),
]


@app.command()
def add(
    owner: Owner,
    role: RoleName = "submit",
    name: Name = "",
    expires: Expires = None,
    max_open_jobs: MaxOpenJobs = None,
    max_stored: MaxStored = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: once, for it is stored as a digest only."""
    from base.access import keys  # noqa: PLC0415 - slow, see the top
    from base.access.callers import Role  # noqa: PLC0415

    if role not in ROLES:
        raise typer.BadParameter(f"{role!r} is none of {', '.join(ROLES)}", param_hint="--role")
    with _database() as database:
        record, text = keys.add(
            database,
            owner,
            Role(role),
            name=name,
            ttl_seconds=expires,
            max_open_jobs=max_open_jobs,
            max_stored_bytes=max_stored,
        )
    if as_json:
        _print_json({**_shown(record), "key": text})
        return
    typer.echo(text)
    say(f"key {record.id} for {owner} ({role}); keep it now, it is not shown again")


@app.command("ls")
def list_keys(as_json: AsJson = False) -> None:
    """List keys: whose they are, what they may do, when they were used last."""
    from base.access import keys  # noqa: PLC0415 - slow, see the top

    with _database() as database:
        found = keys.every(database)
    if as_json:
        for record in found:
            _print_json(_shown(record))
    elif found:
        head = ("ID", "OWNER", "ROLE", "NAME", "CREATED", "LAST USED", "ENDS", "LIMITS")
        typer.echo(table([head, *map(_line, found)]))
    else:
        say("no key yet; `rowmill keys add OWNER` makes one")


@app.command()
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the key: the part between `rm_` and `_`.")
    ],
) -> None:
    """End a key; running servers forget it within five seconds."""
    from base.access import keys  # noqa: PLC0415 - slow, see the top

    with _database() as database:
        record = keys.revoke(database, key_id)
    say(f"key {record.id} of {record.owner} lets nobody in any more")


@contextmanager
def _database() -> Iterator[Database]:
    """The database of the settings; what is refused becomes one line and exit code 1."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - slow, see the top

    from base.access.errors import AccessRefused  # noqa: PLC0415
    from base.database import Database  # noqa: PLC0415

    database = Database(Settings().database_url)
    try:
        database.upgrade()
        yield database
    except AccessRefused as refused:
        stop(f"{refused.message} ({refused.code})", ExitCode.FAILED)
    except OperationalError as failed:
        stop(f"the database of the settings cannot be used: {failed.orig}", ExitCode.FAILED)
    finally:
        database.dispose()


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))


def _shown(record: KeyRecord) -> dict[str, Any]:
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {**vars(record), **{name: _time(getattr(record, name)) for name in times}}


def _line(record: KeyRecord) -> tuple[str, ...]:
    ends = f"revoked {_day(record.revoked_at)}" if record.revoked_at else _day(record.expires_at)
    used = (_time(record.last_used_at) or "never")[:16].replace("T", " ")
    day = _day(record.created_at)
    return (record.id, record.owner, record.role, record.name or "-", day, used, ends, _limits(record))


def _limits(record: KeyRecord) -> str:
    limits = []
    if record.max_open_jobs is not None:
        limits.append(f"{record.max_open_jobs or 'any'} jobs")
    if record.max_stored_bytes is not None:
        limits.append(size(record.max_stored_bytes) if record.max_stored_bytes else "any size")
    return ", ".join(limits) or "-"


def _day(at: float | None) -> str:
    return (_time(at) or "-")[:10]


def _time(at: float | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
