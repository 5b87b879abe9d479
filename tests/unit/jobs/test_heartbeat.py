"""Work learns between two beats that it is not wanted any more; a database that hiccups takes no lease."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from jobs import heartbeat
from jobs.errors import LostLease
from jobs.heartbeat import Heartbeat


def test_long_work_asks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "CHECK_SECONDS", 0.0)
    held = [True, True, False]
    with Heartbeat(lambda: held.pop(0), seconds=3600) as beats:
        beats.check()
        beats.check()
        with pytest.raises(LostLease):
            beats.check()
        with pytest.raises(LostLease):  # and nobody asks again
            beats.check()


def test_short_work_does_not_ask() -> None:
    with Heartbeat(lambda: pytest.fail("asked"), seconds=3600) as beats:
        for _ in range(100):
            beats.check()


def test_a_database_that_is_away_takes_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "CHECK_SECONDS", 0.0)

    def renew() -> bool:
        raise OperationalError("UPDATE", {}, Exception("gone"))

    with Heartbeat(renew, seconds=3600) as beats:
        beats.check()
