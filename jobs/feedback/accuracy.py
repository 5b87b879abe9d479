"""How right a model's versions were, over time: what was predicted, compared with the labels that came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from base.database import Database
from base.database.tables import job_labels, lost_predictions, owned, predictions
from jobs.feedback.labels import Kind
from jobs.feedback.log import HOUR_SECONDS
from jobs.feedback.measured import Measured

DAY_HOURS = 24


@dataclass
class OfVersion:
    """One version: in all, and by the hour (since the epoch) with which each step begins.

    ``lost`` predictions were answered and not logged.
    """

    kind: Kind
    total: Measured = field(default_factory=Measured)
    steps: dict[int, Measured] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True)
class Window:
    """Hours since the epoch, from ``first`` on, in steps of so many hours."""

    first: int
    step: int

    @classmethod
    def of(cls, now: float, seconds: float) -> Window:
        """The last ``seconds``: by the hour up to two days, by the day up to two months, else by the week."""
        hours = seconds / HOUR_SECONDS
        step = 1 if hours <= 2 * DAY_HOURS else DAY_HOURS if hours <= 62 * DAY_HOURS else 7 * DAY_HOURS
        return cls(int((now - seconds) // HOUR_SECONDS), step)


def accuracy(
    database: Database, owner: str, name: str, *, seconds: float, version: int | None = None
) -> tuple[Window, dict[int, OfVersion]]:
    """By version what was predicted in the last ``seconds``, as far as it is the owner's.

    Jobs count, with all their rows, at the hour of their end, if labels of them are known.
    """
    found: dict[int, OfVersion] = {}
    with database.reading() as connection:
        window = Window.of(database.now(connection), seconds)
        for table in (predictions, job_labels):
            which = _which(table, owner, name, version, window)
            for number, kind, start, measured in _measured(connection, table, which, window.step):
                of_version = found.setdefault(number, OfVersion(kind))
                of_version.total.add(measured)
                of_version.steps.setdefault(start, Measured()).add(measured)
        which = _which(lost_predictions, owner, name, version, window)
        for number, count in _lost(connection, which):
            if number in found:
                found[number].lost = count
    return window, dict(sorted(found.items()))


def _which(table: Any, owner: str, name: str, version: int | None, window: Window) -> ColumnElement[bool]:
    this = and_(owned(table, owner), table.c.model_name == name, table.c.hour >= window.first)
    return this if version is None else and_(this, table.c.model_version == version)


def counted(table: Any) -> list[Any]:
    """What is summed up of either table, in the order of the fields of :class:`Measured`."""
    columns = table.c
    if table is job_labels:
        names = ("rows", "labelled", "wrong", "absolute_error", "squared_error")
        return [func.sum(columns[name]) for name in names]
    off = columns.error
    return [
        func.count(columns.prediction),
        func.count(off),
        func.sum(case((off != 0, 1), else_=0)),
        func.sum(func.abs(off)),
        func.sum(off * off),
    ]


def measured_of(sums: Any) -> Measured:
    """A row of :func:`counted`; what a database sums over nothing is null."""
    rows, labelled, wrong, absolute, squared = (value or 0 for value in sums)
    return Measured(int(rows), int(labelled), int(wrong), float(absolute), float(squared))


def _measured(
    connection: Connection, table: Any, which: ColumnElement[bool], step: int
) -> Iterator[tuple[int, Kind, int, Measured]]:
    start = (table.c.hour // step).label("step")
    groups = (table.c.model_version, table.c.kind, start)
    query = select(*groups, *counted(table)).where(which).group_by(*groups).order_by(start)
    for version, kind, at, *sums in connection.execute(query):
        yield version, kind, int(at) * step, measured_of(sums)


def _lost(connection: Connection, which: ColumnElement[bool]) -> Iterator[tuple[int, int]]:
    lost = lost_predictions.c
    query = select(lost.model_version, func.sum(lost.count)).where(which).group_by(lost.model_version)
    for version, count in connection.execute(query):
        yield version, int(count)
