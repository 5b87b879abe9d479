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
from jobs.workshop import Workshop
from models.loading import LoadedModel
from models.manifest import Label, label_text
from models.payload import PayloadRefused, Rows
from models.single import model_input

log = structlog.get_logger()


class Challengers:
    """Scores copies, and counts how often a challenger says what the champion said."""

    def __init__(self, shop: Workshop, meter: Meter) -> None:
        self._shop = shop
        self._meter = meter
        self._failed: set[tuple[str, str]] = set()

    def score(self, copy: dict[str, Any]) -> None:
        """All rows of a copy, one at a time, so that each counts for itself."""
        reference = f"{copy['name']}@{copy['version']}"
        series = spread.series("shadow", copy["alias"])
        for row, answered in zip(copy["rows"], copy["predictions"], strict=True):
            began, agreed = time.perf_counter(), None
            try:
                model = self._shop.models.get(copy["name"], copy["version"])
                began = time.perf_counter()  # once it is loaded
                agreed = _agreed(model, answered, predicted(model, row))
                status = 200
            except PayloadRefused:
                status = 422
            except Exception as error:  # noqa: BLE001 - a model may raise anything, and the next row may be fine
                status = 500
                self._tell(reference, error)
            now = time.perf_counter()
            self._meter.record(series, reference, now - began, status, hit=agreed, now=time.monotonic())

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


def _agreed(model: LoadedModel, champion: Any, challenger: Any) -> bool | None:
    """Whether all labels are the same; None where numbers are predicted."""
    if any(target.classes is None for target in model.manifest.targets):
        return None
    if isinstance(champion, dict) and isinstance(challenger, dict):
        return all(_same(champion.get(name), label) for name, label in challenger.items())
    return _same(champion, challenger)


def _same(one: Label | None, other: Label | None) -> bool:
    """1 and 1.0 are the same label, and so are true and "true"."""
    return one == other or (one is not None and other is not None and label_text(one) == label_text(other))


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
