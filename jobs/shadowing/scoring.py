"""The process that scores for challengers: ``python -m jobs.shadowing.scoring``, one copy a line on stdin.

It runs when the processor has nothing else to do, answers nobody, and ends with the process that started it,
whose end of the pipe is then closed. What it finds goes into the meter, which ``/stats`` reads.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

import structlog

from base import logs
from base.meter import spread
from base.meter.meter import Meter
from base.processes import die_with_parent
from base.settings import Settings
from jobs.shadowing import differing
from jobs.shadowing.differing import Change
from jobs.workshop import Workshop
from models.loading import LoadedModel
from models.payload import PayloadRefused, Rows
from models.single import model_input

log = structlog.get_logger()


class Challengers:
    """Scores copies, and counts how a challenger's answers differ from the champion's."""

    def __init__(self, shop: Workshop, meter: Meter) -> None:
        self._shop = shop
        self._meter = meter
        self._failed: set[tuple[str, str]] = set()

    def score(self, copy: dict[str, Any]) -> None:
        """All rows of a copy, one at a time, so that each counts for itself."""
        reference = f"{copy['name']}@{copy['version']}"
        series = spread.series("shadow", copy["alias"])
        for row, answered in zip(copy["rows"], copy["predictions"], strict=True):
            began, agreed, changed = time.perf_counter(), None, list[Change]()
            try:
                model = self._shop.models.get(copy["name"], copy["version"])
                began, targets = time.perf_counter(), model.manifest.targets  # once it is loaded
                said = predicted(model, row)
                agreed = differing.agreed(targets, answered, said)
                changed = list(differing.changes(targets, answered, said))
                status = 200
            except PayloadRefused:
                status = 422
            except Exception as error:  # noqa: BLE001 - a model may raise anything, and the next row may be fine
                status = 500
                self._tell(reference, error)
            seconds, now = time.perf_counter() - began, time.monotonic()
            self._meter.record(series, reference, seconds, status, hit=agreed, now=now)
            for change in changed:
                of = spread.series("change", copy["alias"], change.place, change.target)
                self._meter.record_difference(of, reference, change.difference, now=now)

    def _tell(self, reference: str, error: Exception) -> None:
        """Once for each kind of error: a challenger that always fails must not fill the log."""
        kind = (reference, type(error).__name__)
        if kind not in self._failed:
            self._failed.add(kind)
            log.warning("a challenger failed", model=reference, reason=str(error)[:500])


def predicted(model: LoadedModel, row: Any) -> Any:
    """What a model says of one row, in the shape of ``POST /predict``; PayloadRefused if it does not fit."""
    if (answered := model.plain_rows.answer(row)) is not None:
        return answered[0]
    data, _warnings = model_input(model.manifest, Rows([row], False, lambda _row, _field: ""))
    scored, targets = model.score(data), model.manifest.targets
    labels = [scored.column(index)[0].as_py() for index in range(len(targets))]
    if len(targets) == 1:
        return labels[0]
    return {target.name: label for target, label in zip(targets, labels, strict=True)}


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """In order, so that the meter gives its file back."""
    raise SystemExit


def main() -> None:
    """Score until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses Ctrl-C means the API
    signal.signal(signal.SIGTERM, _leave)
    die_with_parent()
    os.nice(19)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    settings = Settings()
    logs.configure(settings.log_format, settings.log_level)
    challengers = Challengers(
        Workshop.open(settings, worker="shadow", single_rows=True), Meter(settings.data_dir)
    )
    for line in sys.stdin.buffer:
        challengers.score(json.loads(line))


if __name__ == "__main__":
    main()
