"""Names that point at a version, and can be moved: every move is a row, and the newest one counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from base.database.tables import alias_moves
from models.names import check_alias
from models.registry import references


@dataclass(frozen=True)
class Change:
    """When something was changed (seconds since the epoch), by whom, and why."""

    at: float
    by: str
    note: str | None = None


def everywhere(connection: Connection) -> dict[str, dict[str, int]]:
    """Where every alias points now: ``{"wine": {"production": 3}}``."""
    newest = select(func.max(alias_moves.c.id)).group_by(alias_moves.c.name, alias_moves.c.alias)
    query = select(alias_moves).where(alias_moves.c.id.in_(newest)).order_by(alias_moves.c.alias)
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.name, {})[row.alias] = row.version
    return found


def move(connection: Connection, name: str, alias: str, version: int, change: Change) -> None:
    """Point ``alias`` at a version."""
    check_alias(alias)
    references.get(connection, name, version)
    connection.execute(
        insert(alias_moves).values(
            name=name,
            alias=alias,
            version=version,
            moved_at=change.at,
            moved_by=change.by,
            note=change.note,
        )
    )


def history(connection: Connection, name: str, alias: str) -> Sequence[dict[str, Any]]:
    """Every move of an alias, oldest first."""
    query = (
        select(alias_moves.c.version, alias_moves.c.moved_at, alias_moves.c.moved_by, alias_moves.c.note)
        .where(alias_moves.c.name == name, alias_moves.c.alias == alias)
        .order_by(alias_moves.c.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
