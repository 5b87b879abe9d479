"""The caretaker's watch over accuracy: a word in the log, and the operator's command, when a version falls.

Nothing is waited for: a command runs beside the caretaker's work, and each tick looks after it. What has
fallen stands in ``falling``, what must still be told in ``alarms``.
"""

from __future__ import annotations

import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from base.processes import this_process
from jobs.feedback.alarms import Alarm, claim_due, settle
from jobs.feedback.calling import Call
from jobs.feedback.falling import note_falls
from jobs.stores import Stores

WATCH_SECONDS = 60.0

log = structlog.get_logger()


class AccuracyWatch:
    """Looks once a minute, if a threshold is set."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._looked_at = -WATCH_SECONDS
        self._calls: list[Call] = []

    def tick(self) -> None:
        """One round: commands that ended or take too long, versions that fell, calls that are due."""
        for call in [call for call in self._calls if call.is_over()]:
            self._settle(call)  # a database that is away raises here: then it is settled at a later tick
        settings, database = self._stores.settings, self._stores.database
        if settings.accuracy_below and time.monotonic() - self._looked_at >= WATCH_SECONDS:
            self._looked_at = time.monotonic()
            note_falls(database, settings)
            for alarm in claim_due(database, this_process(), settings.accuracy_command_seconds):
                self._tell(alarm)

    def close(self) -> None:
        """Kill what still runs, for nothing outlives a stack; it is called again by the next caretaker."""
        for call in self._calls:
            log.warning("accuracy command killed, the caretaker stops", model=call.alarm.reference)
            call.end()
            call.close()
            try:
                settle(self._stores.database, call.alarm, "the caretaker stopped meanwhile")
            except SQLAlchemyError as error:  # then it is called again because its caller has ended
                log.error("accuracy command not settled", reason=str(error), model=call.alarm.reference)
        self._calls = []

    def _tell(self, alarm: Alarm) -> None:
        settings, database = self._stores.settings, self._stores.database
        figures = {"accuracy": round(alarm.accuracy, 4), "labelled": alarm.labelled}
        log.warning("accuracy fell", **figures, call=alarm.calls, model=alarm.reference)
        if not settings.accuracy_command:
            settle(database, alarm)
            return
        try:
            self._calls.append(Call.start(alarm, settings))
        except OSError as error:
            log.error("accuracy command not started", reason=str(error), model=alarm.reference)
            settle(database, alarm, f"not started: {error}")

    def _settle(self, call: Call) -> None:
        failure, said = call.failure, call.said
        told = failure if failure is None or not said else f"{failure}: {said}"
        settle(self._stores.database, call.alarm, told)
        self._calls.remove(call)
        call.close()
        if failure is None:
            log.info("accuracy command done", said=said, model=call.alarm.reference)
        else:
            log.error("accuracy command failed", failure=failure, said=said, model=call.alarm.reference)
