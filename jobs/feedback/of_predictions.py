"""Labels of single predictions: joined to the rows of the log, some hundred in a transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, and_, bindparam, select, update

from base.database import Database
from base.database.tables import owned, predictions
from jobs.feedback.labels import errors, typed
from jobs.feedback.sent import Sent, Tally

BATCH = 500
# A key may stand for any number of predictions; so many are looked at in one turn.
TURN = 5000


class Mine(NamedTuple):
    """Whose predictions may be labelled, and of which model where that is told by a key alone."""

    owner: str
    model_name: str | None


def label_predictions(database: Database, mine: Mine, sent: Sent) -> Tally:
    """Join labels to logged predictions by their ids or keys; the same labels again change nothing.

    A key means all predictions of the model that were made under it. A label replaces an earlier one.
    """
    tally = Tally()
    for table in sent.tables():
        for start in range(0, len(table), BATCH):
            _label_batch(database, mine, sent.by, table.slice(start, BATCH), tally)
    return tally


def _label_batch(database: Database, mine: Mine, by: str, table: pa.Table, tally: Tally) -> None:
    usable = pc.and_(table.column("key").is_valid(), table.column("label").is_valid())
    whole = table.filter(usable)
    keys = whole.column("key").to_pylist()
    times = Counter(keys)
    labels = dict(zip(keys, whole.column("label").to_pylist(), strict=True))  # the last one of a key counts
    tally.sent += len(table)
    tally.add_unusable(table.filter(pc.invert(usable)).column("label"))
    met: dict[str, bool] = {}  # whether the label is of the right type
    last = ""
    while rows := _rows(database, mine, by, list(labels), last):
        last = rows[-1].id
        _write(database, _judged(rows, by, labels, met))
    tally.joined += sum(times[key] for key, fits in met.items() if fits)
    tally.add_unusable(pa.array([labels[key] for key in keys if not met.get(key, True)], pa.string()))
    tally.add_unknown(pa.array([key for key in keys if key not in met], pa.string()))


def _rows(database: Database, mine: Mine, by: str, keys: Sequence[str], last: str) -> Sequence[Any]:
    table = predictions.c
    named: ColumnElement[bool] = table.id.in_(keys)
    if by == "key":
        named = and_(table.key.in_(keys), table.model_name == mine.model_name)
    query = select(table.id, table.key, table.kind, table.prediction).where(
        owned(predictions, mine.owner), named, table.id > last
    )
    with database.reading() as connection:
        return connection.execute(query.order_by(table.id).limit(TURN)).all()


def _judged(
    rows: Sequence[Any], by: str, labels: dict[str, str], met: dict[str, bool]
) -> list[dict[str, Any]]:
    """What becomes of each row whose label is one of its kind; ``met`` is told of all."""
    found = []
    for kind, group in groupby(sorted(rows, key=lambda row: str(row.kind)), key=lambda row: row.kind):
        same = list(group)
        keys = [row.key if by == "key" else row.id for row in same]
        texts = pa.array([labels[key] for key in keys], pa.string())
        actual = typed(texts, kind)
        off = errors(actual, typed(pa.array([row.prediction for row in same], pa.string()), kind), kind)
        for row, key, text, fits, error in zip(
            same, keys, texts.to_pylist(), actual.is_valid().to_pylist(), off.to_pylist(), strict=True
        ):
            met[key] = met.get(key, False) or fits
            if fits:
                found.append({"this": row.id, "actual": text, "error": error})
    return found


def _write(database: Database, judged: list[dict[str, Any]]) -> None:
    if not judged:
        return
    with database.writing() as connection:
        now = database.now(connection)
        values = {"actual": bindparam("actual"), "error": bindparam("error"), "labelled_at": now}
        this = update(predictions).where(predictions.c.id == bindparam("this"))
        connection.execute(this.values(**values), judged)
