"""Versions whose accuracy falls below the threshold: each fall becomes an alarm, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from base.database import Database
from base.database.tables import (
    EVERYBODY,
    accuracy_alarms,
    accuracy_states,
    job_labels,
    predictions,
    versions,
)
from base.settings import Settings
from jobs.feedback.accuracy import counted, measured_of
from jobs.feedback.log import HOUR_SECONDS
from jobs.feedback.measured import Measured

# A version has risen once it is so far on the way from the threshold to 1: chance alone leads just above it.
RECOVERED = 0.2

Key = tuple[str, int]


class Found(NamedTuple):
    """What was found of a version just now."""

    name: str
    version: int
    accuracy: float
    labelled: int


def note_falls(database: Database, settings: Settings) -> None:
    """Note on which side of ``accuracy_below`` each version is, and an alarm for each that has fallen.

    A version with fewer labels than ``accuracy_labels`` stays where it was. One that fell falls again once it
    has risen, and when ``accuracy_window_seconds`` have passed: before that, it would be judged by what it
    was judged by already.
    """
    below = settings.accuracy_below
    for (name, version), measured in _measured(database, settings).items():
        accuracy = measured.figures("string")["accuracy"]
        if accuracy is None or measured.labelled < settings.accuracy_labels:
            continue
        found = Found(name, version, accuracy, measured.labelled)
        if accuracy < below:
            _note_fall(database, settings, found)
        elif accuracy >= below + RECOVERED * (1 - below):
            _note_rise(database, found)


def _measured(database: Database, settings: Settings) -> dict[Key, Measured]:
    """Labelled predictions of the owners that count, of the versions that are in use and answer labels."""
    found: dict[Key, Measured] = {}
    owners = settings.accuracy_owners.split(",")
    with database.reading() as connection:
        first = int((database.now(connection) - settings.accuracy_window_seconds) // HOUR_SECONDS)
        used = select(versions.c.name, versions.c.version).where(versions.c.retired_at.is_(None))
        in_use = {(row.name, row.version) for row in connection.execute(used)}
        for table in (predictions, job_labels):
            for key, measured in _sums(connection, table, first, owners):
                if key in in_use:
                    found.setdefault(key, Measured()).add(measured)
    return found


def _sums(
    connection: Connection, table: Any, first: int, owners: list[str]
) -> Iterator[tuple[Key, Measured]]:
    columns = table.c
    groups = (columns.model_name, columns.model_version)
    whose = true() if owners == [EVERYBODY] else columns.owner.in_(owners)
    which = and_(columns.labelled_at.is_not(None), columns.hour >= first, columns.kind != "quantity", whose)
    for name, version, *sums in connection.execute(
        select(*groups, *counted(table)).where(which).group_by(*groups)
    ):
        yield (name, version), measured_of(sums)


def _note_fall(database: Database, settings: Settings, found: Found) -> None:
    """Of several who look at the same time one notes it. A version begins above the threshold."""
    state, alarms = accuracy_states.c, accuracy_alarms.c
    this = and_(state.model_name == found.name, state.model_version == found.version)
    its = and_(alarms.model_name == found.name, alarms.model_version == found.version)
    place = {"model_name": found.name, "model_version": found.version}
    with database.reading() as connection:
        now = database.now(connection)
        was_low = connection.execute(select(state.is_low).where(this)).scalar()
        last = connection.execute(select(func.max(alarms.fell_at)).where(its)).scalar()
    if was_low or (last is not None and 0 <= now - last < settings.accuracy_window_seconds):
        return
    fall = {"fell_at": now, "due_at": now, "below": settings.accuracy_below, "calls": 0}
    facts = {"accuracy": found.accuracy, "labelled": found.labelled}
    low = {"is_low": True, "changed_at": now}
    try:
        with database.writing() as connection:
            if was_low is None:
                connection.execute(insert(accuracy_states).values(**place, **low))
            elif not connection.execute(
                update(accuracy_states).where(this, state.is_low.is_(False)).values(low)
            ).rowcount:
                return
            connection.execute(insert(accuracy_alarms).values(**place, **facts, **fall))
    except IntegrityError:  # another caretaker was faster
        return


def _note_rise(database: Database, found: Found) -> None:
    state = accuracy_states.c
    this = and_(state.model_name == found.name, state.model_version == found.version, state.is_low.is_(True))
    with database.reading() as connection:
        if connection.execute(select(state.is_low).where(this)).first() is None:
            return
    with database.writing() as connection:
        risen = {"is_low": False, "changed_at": database.now(connection)}
        connection.execute(update(accuracy_states).where(this).values(risen))
