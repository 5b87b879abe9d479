"""The log of predictions: many at once, bounded, and honest about what it lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from base.database import Database
from base.database.tables import lost_predictions, predictions
from jobs.feedback import log, retention
from jobs.feedback.log import HOUR_SECONDS, PredictionLog
from jobs.workshop import Workshop
from tests.builders import AddedModel
from tests.conftest import Clock
from tests.waiting import wait_until


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(predictions)).scalar_one())


def lost(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.sum(lost_predictions.c.count))).scalar() or 0)


def test_predictions_are_written_by_a_thread(database: Database, clock: Clock, wine: AddedModel) -> None:
    noted = PredictionLog(database, clock)
    ids = [noted.add("local", f"k{number}", wine.manifest, number % 3) for number in range(5)]
    wait_until(lambda: count(database) == 5, "the thread writes")
    noted.close()
    with database.reading() as connection:
        rows = connection.execute(select(predictions).order_by(predictions.c.key)).all()
    assert [row.id for row in rows] == ids
    assert [row.prediction for row in rows] == ["0", "1", "2", "0", "1"]
    assert {row.hour for row in rows} == {int(clock.now // HOUR_SECONDS)}


def test_what_has_no_room_is_counted_and_has_no_id(
    database: Database, clock: Clock, wine: AddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MAX_WAITING", 3)
    monkeypatch.setattr(log, "WRITE_SECONDS", 3600)
    noted = PredictionLog(database, clock)
    for times in (1, 2):
        ids = [noted.add("local", None, wine.manifest, 1) for _ in range(5)]
        assert ids[3:] == [None, None]
        noted.flush()
        assert (count(database), lost(database)) == (3 * times, 2 * times)
    noted.close()


def test_a_database_that_is_away_loses_nothing(
    tmp_path: Path, clock: Clock, wine: AddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WRITE_SECONDS", 3600)
    database = Database(f"sqlite:///{tmp_path / 'later' / 'rowmill.db'}", clock)
    noted = PredictionLog(database, clock)
    first = [noted.add("local", None, wine.manifest, 1) for _ in range(3)]
    noted.flush()
    second = noted.add("local", None, wine.manifest, 2)
    (tmp_path / "later").mkdir()
    database.upgrade()
    noted.flush()
    with database.reading() as connection:
        kept = connection.execute(select(predictions.c.id).order_by(predictions.c.id)).scalars().all()
    assert kept == [*first, second]
    noted.close()
    database.dispose()


def test_what_the_database_does_not_take_is_lost_alone(
    database: Database, clock: Clock, wine: AddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WRITE_SECONDS", 3600)
    noted = PredictionLog(database, clock)
    for key in ("first", "half of a character: \ud800", "last"):
        noted.add("local", key, wine.manifest, 1)
    noted.flush()
    noted.flush()
    assert (count(database), lost(database)) == (2, 1)
    noted.close()


def test_predictions_go_when_their_time_is_over(workshop: Workshop, clock: Clock, wine: AddedModel) -> None:
    database, noted = workshop.database, PredictionLog(workshop.database, clock)
    noted.add("local", None, wine.manifest, 1)
    noted.flush()
    clock.advance(workshop.settings.prediction_ttl_seconds - 2 * HOUR_SECONDS)
    young = noted.add("local", None, wine.manifest, 1)
    noted.close()
    retention.forget_old_predictions(workshop)
    assert count(database) == 2
    clock.advance(4 * HOUR_SECONDS)
    retention.forget_old_predictions(workshop)
    with database.reading() as connection:
        assert connection.execute(select(predictions.c.id)).scalars().all() == [young]


def test_however_many_are_over_go_in_one_tick_while_there_is_time(
    workshop: Workshop, clock: Clock, wine: AddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, noted = workshop.database, PredictionLog(workshop.database, clock)
    for _ in range(35):
        noted.add("local", None, wine.manifest, 1)
    noted.close()
    clock.advance(workshop.settings.prediction_ttl_seconds + 2 * HOUR_SECONDS)
    monkeypatch.setattr(retention, "BATCH", 10)
    with monkeypatch.context() as busy:
        busy.setattr(retention, "TICK_SECONDS", 0)
        retention.forget_old_predictions(workshop)
        assert count(database) == 25
    retention.forget_old_predictions(workshop)
    assert count(database) == 0


def test_the_count_of_what_was_lost_goes_when_its_time_is_over(
    workshop: Workshop, clock: Clock, wine: AddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MAX_WAITING", 0)
    noted = PredictionLog(workshop.database, clock)
    noted.add("local", None, wine.manifest, 1)
    noted.close()
    noted.flush()
    assert lost(workshop.database) == 1
    clock.advance(workshop.settings.prediction_ttl_seconds + 2 * HOUR_SECONDS)
    retention.forget_old_predictions(workshop)
    assert lost(workshop.database) == 0
