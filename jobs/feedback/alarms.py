"""Alarms: falls of a version's accuracy as rows, each called for until a call has ended well.

A call is noted as begun before it begins, and as told once it has ended: whoever dies in between has not
told, and somebody calls again. So an alarm is told at least once, and a command that always fails is not
called for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import structlog
from sqlalchemy import Row, and_, func, select, update

from base.database import Database
from base.database.tables import accuracy_alarms, versions
from base.processes import has_ended

# Between calls that failed; after the last of them nobody calls again.
PAUSES_SECONDS = (60.0, 300.0, 1800.0)
MOST_CALLS = len(PAUSES_SECONDS) + 1
# Beyond the time that a command may take, a call that nobody has ended counts as lost.
SLACK_SECONDS = 120.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Alarm:
    """A fall below ``below``, with what was found then. ``due_at``: the next call, if there will be one."""

    id: int
    model_name: str
    model_version: int
    fell_at: float
    accuracy: float
    below: float
    labelled: int
    calls: int
    due_at: float | None
    told_at: float | None
    failure: str | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """Build the record from a row of ``accuracy_alarms``."""
        return cls(**{field.name: row._mapping[field.name] for field in fields(cls)})

    @property
    def reference(self) -> str:
        """The version, as people write it."""
        return f"{self.model_name}@{self.model_version}"


def newest(database: Database, name: str, since: float) -> dict[int, Alarm]:
    """The last alarm of each version of a model, by its number, if it was after ``since``."""
    last = (
        select(func.max(accuracy_alarms.c.id))
        .where(accuracy_alarms.c.model_name == name)
        .group_by(accuracy_alarms.c.model_version)
    )
    query = select(accuracy_alarms).where(accuracy_alarms.c.id.in_(last), accuracy_alarms.c.fell_at >= since)
    with database.reading() as connection:
        return {row.model_version: Alarm.from_row(row) for row in connection.execute(query)}


def claim_due(database: Database, caller: str, seconds: float) -> Iterator[Alarm]:
    """Alarms to call for now, each of them the caller's own for ``seconds``.

    Those of retired versions are not: nobody uses them any more.
    """
    for row in _waiting(database):
        if row.calls >= MOST_CALLS:
            settle(database, Alarm.from_row(row), "its caller ended before it did")
            continue
        with database.writing() as connection:
            lease = {"due_at": database.now(connection) + seconds + SLACK_SECONDS, "caller": caller}
            this = and_(accuracy_alarms.c.id == row.id, accuracy_alarms.c.calls == row.calls)
            mine = update(accuracy_alarms).where(this, accuracy_alarms.c.due_at == row.due_at)
            claimed = connection.execute(
                mine.values(calls=row.calls + 1, **lease).returning(*accuracy_alarms.c)
            ).first()
        if claimed is not None:
            yield Alarm.from_row(claimed)


def _waiting(database: Database) -> list[Row[Any]]:
    """Alarms that nobody calls for at this moment, oldest first."""
    in_use = and_(
        versions.c.name == accuracy_alarms.c.model_name,
        versions.c.version == accuracy_alarms.c.model_version,
        versions.c.retired_at.is_(None),
    )
    query = select(accuracy_alarms).join(versions, in_use).where(accuracy_alarms.c.due_at.is_not(None))
    with database.reading() as connection:
        now = database.now(connection)
        rows = connection.execute(query.order_by(accuracy_alarms.c.id)).all()
    return [row for row in rows if row.due_at <= now or (row.caller and has_ended(row.caller))]


def settle(database: Database, alarm: Alarm, failure: str | None = None) -> None:
    """Note how the call that ``alarm`` was claimed for has ended: well, or with a failure."""
    is_last = alarm.calls >= MOST_CALLS
    with database.writing() as connection:
        now = database.now(connection)
        values: dict[str, Any] = {"caller": None, "failure": failure, "due_at": None}
        if failure is None:
            values["told_at"] = now
        elif not is_last:
            values["due_at"] = now + PAUSES_SECONDS[alarm.calls - 1]
        this = and_(accuracy_alarms.c.id == alarm.id, accuracy_alarms.c.calls == alarm.calls)
        connection.execute(update(accuracy_alarms).where(this).values(values))
    if failure is not None and is_last:
        log.error("accuracy command given up", calls=alarm.calls, failure=failure, model=alarm.reference)
