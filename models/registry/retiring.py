"""The end of a version: retired, it takes no requests any more; removed, its files are gone.

Its row stays for ever, so that old jobs can tell what scored them, and no number is given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from base.database.tables import versions
from base.times import rfc3339
from models.errors import ModelError
from models.registry import aliases, references, traffic
from models.registry.aliases import Change

# Who else uses a version, asked under the lock: one sentence each. Jobs are not known in this room.
Users = Callable[[Connection, str, int], Sequence[str]]


@dataclass(frozen=True)
class Retirement:
    """When, by whom and why a version was retired, and when its files were removed."""

    retired: Change
    removed: Change | None

    def document(self) -> dict[str, Any]:
        """As JSON shows it, with RFC 3339 times."""
        return {
            "at": rfc3339(self.retired.at),
            "by": self.retired.by,
            "note": self.retired.note,
            "removed_at": None if self.removed is None else rfc3339(self.removed.at),
        }


def of(connection: Connection, name: str, version: int) -> Retirement | None:
    """Of a version that is retired; None of one in use, or of one that never was."""
    row = connection.execute(select(versions).where(_is(name, version))).first()
    if row is None or row.retired_at is None:
        return None
    # retired by hand in the table, before there was a command for it, nobody is known to have done it
    retired = Change(row.retired_at, row.retired_by or "", row.retired_note)
    removed = None if row.removed_at is None else Change(row.removed_at, row.removed_by or "")
    return Retirement(retired, removed)


def retire(connection: Connection, name: str, version: int, change: Change, users: Users) -> None:
    """Take a version out of use; ModelError ``in_use`` says what still needs it."""
    references.get(connection, name, version)
    pointing = [
        alias for alias, target in aliases.everywhere(connection).get(name, {}).items() if target == version
    ]
    reasons = [f"the alias {alias} points at it" for alias in pointing]
    reasons += traffic.using(connection, name, version)
    reasons += users(connection, name, version)
    if reasons:
        raise ModelError(
            "in_use", f"{name}@{version} cannot be retired: {'; '.join(reasons)}; end that first."
        )
    values = {"retired_at": change.at, "retired_by": change.by, "retired_note": change.note}
    connection.execute(update(versions).where(_is(name, version)).values(values))


def remove(connection: Connection, name: str, version: int, change: Change) -> None:
    """Note that the files of a retired version are removed. Raises ModelError ``not_retired``."""
    retirement = of(connection, name, version)
    if retirement is None:
        reference = references.get(connection, name, version).reference
        raise ModelError(
            "not_retired", f"{reference} is in use; retire it first: `rowmill models retire {reference}`."
        )
    if retirement.removed is None:
        values = {"removed_at": change.at, "removed_by": change.by}
        connection.execute(update(versions).where(_is(name, version)).values(values))


def hold(connection: Connection, name: str, version: int) -> None:
    """Keep a version from being retired until the transaction ends. Raises ModelNotFound if it is already."""
    rows = select(versions.c.retired_at).where(_is(name, version))
    row = connection.execute(rows.with_for_update(read=True)).first()
    if row is not None and row.retired_at is not None:
        references.get(connection, name, version)


def _is(name: str, version: int) -> ColumnElement[bool]:
    return and_(versions.c.name == name, versions.c.version == version)
