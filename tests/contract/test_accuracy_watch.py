"""A version whose accuracy falls is told of once for each fall, and the operator's command is called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from base.settings import Settings
from jobs.feedback import watch
from jobs.feedback.falling import Fall, new_falls
from jobs.feedback.log import PredictionLog
from jobs.feedback.of_predictions import Mine, label_predictions
from jobs.feedback.sent import SCHEMA, Sent
from jobs.feedback.watch import AccuracyWatch
from jobs.workshop import Workshop
from tests.builders import AddedModel
from tests.conftest import Clock
from tests.waiting import wait_until

Predict = Callable[..., None]

# What is about files and processes does not depend on the database.
ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def predict(workshop: Workshop, wine: AddedModel, clock: Clock) -> Iterator[Predict]:
    """Log and label so many predictions of ``wine@1``, of which some are wrong."""
    wine.put_into(workshop.database, workshop.registry)
    log = PredictionLog(workshop.database, clock)

    def predict(count: int, wrong: int) -> None:
        ids = [log.add("local", None, wine.manifest, 1) for _ in range(count)]
        log.flush()
        labels = ["2"] * wrong + ["1"] * (count - wrong)
        table = pa.table([ids, labels], schema=SCHEMA)
        tally = label_predictions(
            workshop.database, Mine("local", None), Sent("prediction_id", lambda: iter([table]))
        )
        assert tally.joined == count

    yield predict
    log.close()


def watched(workshop: Workshop, **settings: object) -> Workshop:
    values = {"accuracy_below": 0.8, "accuracy_labels": 10, **settings}
    return replace(workshop, settings=workshop.settings.model_copy(update=values))


def falls(workshop: Workshop) -> list[Fall]:
    return list(new_falls(workshop.database, workshop.settings))


def test_each_fall_is_told_once(workshop: Workshop, clock: Clock, predict: Predict) -> None:
    shop = watched(workshop)
    predict(9, wrong=9)
    assert falls(shop) == []  # too few to judge by
    predict(91, wrong=1)
    assert falls(shop) == []  # 0.9
    predict(100, wrong=40)
    assert falls(shop) == [Fall("wine", 1, 0.75, 200)]
    predict(10, wrong=10)
    assert falls(shop) == []  # it is low, and was
    clock.advance(8 * 24 * 3600)
    predict(20, wrong=0)
    assert falls(shop) == []  # it has risen
    predict(20, wrong=20)
    assert falls(shop) == [Fall("wine", 1, 0.5, 40)]


def test_a_retired_version_is_not_watched(workshop: Workshop, predict: Predict) -> None:
    predict(20, wrong=20)
    workshop.registry.retire("wine", 1, lambda *_: (), "a test")
    assert falls(watched(workshop)) == []


def calling(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, code: str, **settings: object) -> Workshop:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0)
    return watched(workshop, accuracy_command=f'{sys.executable} -c "{code}"', **settings)


def told(keeper: AccuracyWatch, event: str) -> dict[str, object]:
    """The line of the log that says so, while ticks go on."""
    with capture_logs() as lines:

        def is_told() -> bool:
            keeper.tick()
            return any(line["event"] == event for line in lines)

        wait_until(is_told, event)
    return next(dict(line) for line in lines if line["event"] == event)


@ONE_KIND
def test_the_command_is_told_which_version_and_figure(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os; print(*sorted(k + os.environ[k] for k in os.environ if k.startswith('ACCURACY')))"
    keeper = AccuracyWatch(calling(workshop, monkeypatch, code))
    predict(40, wrong=20)
    line = told(keeper, "accuracy command done")
    assert line["model"] == "wine@1"
    assert line["said"] == (
        "ACCURACY0.5 ACCURACY_BELOW0.8 ACCURACY_LABELLED40 ACCURACY_MODELwine@1 ACCURACY_NAMEwine "
        "ACCURACY_VERSION1"
    )


@ONE_KIND
def test_a_command_that_fails_is_told(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(40, wrong=20)
    line = told(
        AccuracyWatch(calling(workshop, monkeypatch, "raise SystemExit(7)")), "accuracy command failed"
    )
    assert line["status"] == 7


@ONE_KIND
def test_a_command_that_is_not_there_is_told(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(40, wrong=20)
    shop = watched(workshop, accuracy_command="/nowhere/at-all")
    assert "No such file" in str(told(AccuracyWatch(shop), "accuracy command not started")["reason"])


@ONE_KIND
def test_a_command_that_does_not_end_is_killed_with_its_children(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    code = (
        "import pathlib, subprocess; child = subprocess.Popen(['sleep', '60']); "
        f"pathlib.Path('{started}').write_text(str(child.pid)); child.wait()"
    )
    predict(40, wrong=20)
    keeper = AccuracyWatch(calling(workshop, monkeypatch, code, accuracy_command_seconds=3))
    told(keeper, "accuracy command took too long, killed")
    wait_until(lambda: not is_alive(int(started.read_text())), "its child ends too")


def is_alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@ONE_KIND
def test_what_runs_ends_with_the_caretaker(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    code = (
        f"import os, pathlib, time; pathlib.Path('{started}').write_text(str(os.getpid())); time.sleep(600)"
    )
    predict(40, wrong=20)
    keeper = AccuracyWatch(calling(workshop, monkeypatch, code))
    keeper.tick()
    wait_until(lambda: started.exists() and bool(started.read_text()), "the command runs")
    keeper.close()
    assert not is_alive(int(started.read_text()))


@pytest.mark.parametrize(
    "given", [{"accuracy_command": "retrain"}, {"accuracy_below": 0.8, "accuracy_command": "re'train"}]
)
def test_a_command_that_can_never_run_stops_the_start(given: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="ROWMILL_ACCURACY_COMMAND"):
        Settings(data_dir=tmp_path, **given)  # type: ignore[arg-type]
