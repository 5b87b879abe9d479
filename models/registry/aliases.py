"""Names that point at a version, and can be moved: every move is a row, and the newest one counts.

A rollback is a move too: it takes back the newest move that was not taken back yet. Two in a row therefore go
two steps back, and never forth to the version that somebody wanted to be rid of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from base.database.tables import alias_moves, versions
from models.errors import ModelError, ModelNotFound
from models.names import check_alias
from models.registry import references


@dataclass(frozen=True)
class Change:
    """When something was changed (seconds since the epoch), by whom, and why."""

    at: float
    by: str
    note: str | None = None


@dataclass(frozen=True)
class Expected:
    """Where an alias must point for a move to be made; None: nowhere."""

    version: int | None


@dataclass(frozen=True)
class Move:
    """An alias got another version; None is none at all: before its first move, or once it is dropped."""

    id: int
    alias: str
    before: int | None
    version: int | None
    is_rollback: bool
    change: Change


def lock(connection: Connection, name: str) -> None:
    """Let no other process move, retire or submit jobs to this model until the transaction ends.

    Postgres; on SQLite there is one writer anyway.
    """
    rows = select(versions.c.version).where(versions.c.name == name).order_by(versions.c.version)
    connection.execute(rows.with_for_update()).all()


def everywhere(connection: Connection) -> dict[str, dict[str, int]]:
    """Where every alias points now: ``{"wine": {"production": 3}}``."""
    newest = select(func.max(alias_moves.c.id)).group_by(alias_moves.c.name, alias_moves.c.alias)
    query = select(alias_moves).where(alias_moves.c.id.in_(newest), alias_moves.c.version.is_not(None))
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query.order_by(alias_moves.c.alias)):
        found.setdefault(row.name, {})[row.alias] = row.version
    return found


def check_place(connection: Connection, name: str, alias: str, expected: Expected | None) -> None:
    """Raise ModelError ``alias_moved`` unless ``alias`` points where its mover believes it does."""
    if expected is None or (current := references.aliased(connection, name, alias)) == expected.version:
        return
    now, then = (
        "nowhere" if version is None else f"at {name}@{version}" for version in (current, expected.version)
    )
    raise ModelError("alias_moved", f"{name}@{alias} points {now}, not {then}; it is left as it is.")


def move(connection: Connection, name: str, alias: str, version: int, change: Change) -> Move:
    """Point ``alias`` at a version."""
    check_alias(alias)
    references.get(connection, name, version)
    return _moved(connection, name, alias, version, change)


def drop(connection: Connection, name: str, alias: str, change: Change) -> Move:
    """Let ``alias`` point nowhere. Raises ModelNotFound ``unknown_alias`` if it does already."""
    if references.aliased(connection, name, alias) is None:
        raise references.unknown_alias(connection, name, alias)
    return _moved(connection, name, alias, None, change)


def roll_back(connection: Connection, name: str, alias: str, change: Change) -> tuple[Move, Move]:
    """Let ``alias`` point where it did before the newest move that was not taken back yet.

    The second value is the move under which it stood there last. Raises ModelError ``nothing_before``, also
    where it pointed at a version that is retired by now.
    """
    standing = _standing(history(connection, name, alias))
    if not standing:
        raise references.unknown_alias(connection, name, alias)
    if len(standing) == 1:
        only = f"{name}@{alias} has always pointed at {name}@{standing[0].version}"
        raise ModelError("nothing_before", f"{only}: there is nothing to go back to.")
    back_to = standing[-2]
    if (version := back_to.version) is not None:
        try:
            references.get(connection, name, version)
        except ModelNotFound as gone:
            before = f"{name}@{alias} pointed at {name}@{version} before, which cannot be used any more"
            advice = f"Choose a version with `rowmill models alias {name}@VERSION {alias}`."
            raise ModelError("nothing_before", f"{before}: {gone.message} {advice}") from gone
    return _moved(connection, name, alias, version, change, is_rollback=True), back_to


def _standing(moves: Iterator[Move]) -> list[Move]:
    """The moves that brought an alias where it pointed, without what was taken back; the last one counts now.

    A move to where it pointed already (a nightly run done twice) is no step that could be taken back. It
    stands in place of the move before it, as a rollback stands in place of that which it led back to.
    """
    standing: list[Move] = []
    for each in moves:
        if each.is_rollback:
            standing.pop()
        if each.is_rollback or each.version == each.before:
            standing[-1] = each
        else:
            standing.append(each)
    return standing


def _moved(
    connection: Connection,
    name: str,
    alias: str,
    version: int | None,
    change: Change,
    *,
    is_rollback: bool = False,
) -> Move:
    before = references.aliased(connection, name, alias)
    values = {"moved_at": change.at, "moved_by": change.by, "note": change.note, "is_rollback": is_rollback}
    row = insert(alias_moves).values(name=name, alias=alias, version=version, **values)
    number = connection.execute(row.returning(alias_moves.c.id)).scalar_one()
    return Move(number, alias, before, version, is_rollback, change)


def history(connection: Connection, name: str, alias: str | None = None) -> Iterator[Move]:
    """Every move of an alias, or of all aliases of a model, oldest first."""
    query = select(alias_moves).where(alias_moves.c.name == name).order_by(alias_moves.c.id)
    if alias is not None:
        query = query.where(alias_moves.c.alias == alias)
    points_at: dict[str, int | None] = {}
    for row in connection.execute(query):
        change = Change(row.moved_at, row.moved_by, row.note)
        yield Move(row.id, row.alias, points_at.get(row.alias), row.version, row.is_rollback, change)
        points_at[row.alias] = row.version
