"""Versions whose accuracy has just fallen below the threshold, each fall told once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from base.database import Database
from base.database.tables import accuracy_states, job_labels, predictions, versions
from base.settings import Settings
from jobs.feedback.accuracy import counted, measured_of
from jobs.feedback.log import HOUR_SECONDS
from jobs.feedback.measured import Measured

Key = tuple[str, int]


class Fall(NamedTuple):
    """A version that is below the threshold and was not before."""

    name: str
    version: int
    accuracy: float
    labelled: int


def new_falls(database: Database, settings: Settings) -> Iterator[Fall]:
    """Note for each version on which side of ``accuracy_below`` it is, and tell those that fell.

    Of several who look at the same time one is told. Whoever is told and dies tells nobody: better once too
    seldom than twice. A version with fewer labels than ``accuracy_labels`` stays where it was.
    """
    for (name, version), measured in _measured(database, settings.accuracy_window_seconds).items():
        accuracy = measured.figures("string")["accuracy"]
        if accuracy is None or measured.labelled < settings.accuracy_labels:
            continue
        is_low = accuracy < settings.accuracy_below
        if _has_changed(database, name, version, is_low) and is_low:
            yield Fall(name, version, accuracy, measured.labelled)


def _measured(database: Database, seconds: float) -> dict[Key, Measured]:
    """Labelled predictions of all owners, of the versions that are in use and answer labels."""
    found: dict[Key, Measured] = {}
    with database.reading() as connection:
        first = int((database.now(connection) - seconds) // HOUR_SECONDS)
        used = select(versions.c.name, versions.c.version).where(versions.c.retired_at.is_(None))
        in_use = {(row.name, row.version) for row in connection.execute(used)}
        for table in (predictions, job_labels):
            for key, measured in _sums(connection, table, first):
                if key in in_use:
                    found.setdefault(key, Measured()).add(measured)
    return found


def _sums(connection: Connection, table: Any, first: int) -> Iterator[tuple[Key, Measured]]:
    columns = table.c
    groups = (columns.model_name, columns.model_version)
    which = and_(columns.labelled_at.is_not(None), columns.hour >= first, columns.kind != "quantity")
    for name, version, *sums in connection.execute(
        select(*groups, *counted(table)).where(which).group_by(*groups)
    ):
        yield (name, version), measured_of(sums)


def _has_changed(database: Database, name: str, version: int, is_low: bool) -> bool:
    """Note the side, and say whether it is another than before; a version begins above the threshold."""
    this = and_(accuracy_states.c.model_name == name, accuracy_states.c.model_version == version)
    with database.reading() as connection:
        before = connection.execute(select(accuracy_states.c.is_low).where(this)).scalar()
    if before == is_low or (before is None and not is_low):
        return False
    try:
        with database.writing() as connection:
            values = {"is_low": is_low, "changed_at": database.now(connection)}
            if before is None:
                place = {"model_name": name, "model_version": version}
                connection.execute(insert(accuracy_states).values(**place, **values))
                return True
            changed = update(accuracy_states).where(this, accuracy_states.c.is_low == before)
            return connection.execute(changed.values(values)).rowcount == 1
    except IntegrityError:  # another caretaker was faster
        return False
