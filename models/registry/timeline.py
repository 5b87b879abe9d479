"""What happened to a model and its aliases, as one list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from base.database.tables import versions
from base.times import rfc3339
from models.registry import aliases, references, traffic
from models.traffic import Traffic

What = Literal["added", "alias", "rollback", "unalias", "traffic", "retired", "removed"]


@dataclass(frozen=True)
class Event:
    """One thing that happened, ``at`` seconds since the epoch. ``by`` is not known of every event.

    A move of an alias is from ``before`` (None: from nowhere) to ``version`` (None: to nowhere). ``traffic``
    is how requests are spread from then on, while the alias points at ``version``.
    """

    at: float
    event: What
    version: int | None
    alias: str | None = None
    before: int | None = None
    by: str | None = None
    note: str | None = None
    traffic: Traffic | None = None

    def document(self) -> dict[str, Any]:
        """As JSON shows it, with an RFC 3339 time."""
        traffic = None if self.traffic is None else self.traffic.document()
        return {**asdict(self), "at": rfc3339(self.at), "traffic": traffic}


def events(connection: Connection, name: str, alias: str | None = None) -> list[Event]:
    """All of a model, or the moves of one alias, oldest first. Raises ModelNotFound for what never was."""
    moves = list(_moves(connection, name, alias))
    if alias is not None:
        if not moves:
            raise references.unknown_alias(connection, name, alias)
        spread = _traffic(connection, name, alias)
        return sorted([*moves, *spread], key=lambda event: event.at)
    query = select(versions).where(versions.c.name == name).order_by(versions.c.version)
    rows = connection.execute(query).all()
    if not rows:
        references.latest(connection, name)
    # of what happened in one moment, the beginning of a version comes first and its end last
    beginnings = [Event(row.created_at, "added", row.version) for row in rows]
    return sorted(
        [*beginnings, *moves, *_traffic(connection, name, None), *_ends(rows)], key=lambda event: event.at
    )


def _moves(connection: Connection, name: str, alias: str | None) -> Iterator[Event]:
    for move in aliases.history(connection, name, alias):
        what: What = "rollback" if move.is_rollback else "unalias" if move.version is None else "alias"
        change = move.change
        yield Event(change.at, what, move.version, move.alias, move.before, change.by, change.note)


def _traffic(connection: Connection, name: str, alias: str | None) -> Iterator[Event]:
    for each in traffic.history(connection, name, alias):
        change = each.change
        yield Event(
            at=change.at,
            event="traffic",
            version=each.version,
            alias=each.alias,
            before=each.version,
            by=change.by,
            note=change.note,
            traffic=each.traffic,
        )


def _ends(rows: Sequence[Row[Any]]) -> Iterator[Event]:
    for row in rows:
        if row.retired_at is not None:
            yield Event(row.retired_at, "retired", row.version, by=row.retired_by, note=row.retired_note)
        if row.removed_at is not None:
            yield Event(row.removed_at, "removed", row.version, by=row.removed_by)
