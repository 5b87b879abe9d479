"""A version whose accuracy falls is told of once for each fall, and the operator's command is called."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from base.processes import this_process
from base.settings import Settings
from jobs.feedback import watch
from jobs.feedback.alarms import MOST_CALLS, PAUSES_SECONDS, SLACK_SECONDS, claim_due, newest, settle
from jobs.feedback.falling import note_falls
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

    def predict(count: int, wrong: int, owner: str = "local") -> None:
        ids = [log.add(owner, None, wine.manifest, 1) for _ in range(count)]
        log.flush()
        labels = ["2"] * wrong + ["1"] * (count - wrong)
        table = pa.table([ids, labels], schema=SCHEMA)
        tally = label_predictions(
            workshop.database, Mine(owner, None), Sent("prediction_id", lambda: iter([table]))
        )
        assert tally.joined == count

    yield predict
    log.close()


def watched(workshop: Workshop, **settings: object) -> Workshop:
    values = {"accuracy_below": 0.8, "accuracy_labels": 10, **settings}
    return replace(workshop, settings=workshop.settings.model_copy(update=values))


def falls(workshop: Workshop) -> list[tuple[str, float, int]]:
    """Look once, and tell whatever is due: which version, with what accuracy on how many labels."""
    database = workshop.database
    note_falls(database, workshop.settings)
    told = []
    for alarm in claim_due(database, "test", 60):
        settle(database, alarm)
        told.append((alarm.reference, alarm.accuracy, alarm.labelled))
    return told


def test_each_fall_is_told_once(workshop: Workshop, clock: Clock, predict: Predict) -> None:
    shop = watched(workshop)
    predict(9, wrong=9)
    assert falls(shop) == []  # too few to judge by
    predict(91, wrong=1)
    assert falls(shop) == []  # 0.9
    predict(100, wrong=40)
    assert falls(shop) == [("wine@1", 0.75, 200)]
    predict(10, wrong=10)
    assert falls(shop) == []  # it is low, and was
    clock.advance(8 * 24 * 3600)
    predict(20, wrong=0)
    assert falls(shop) == []  # it has risen
    predict(20, wrong=20)
    assert falls(shop) == [("wine@1", 0.5, 40)]


def test_a_version_about_the_threshold_is_told_of_once(
    workshop: Workshop, clock: Clock, predict: Predict
) -> None:
    shop = watched(workshop)
    predict(100, wrong=25)
    assert falls(shop) == [("wine@1", 0.75, 100)]
    predict(400, wrong=0)
    assert falls(shop) == []  # 0.95: it has risen
    predict(400, wrong=200)
    assert falls(shop) == []  # 0.75, much of it by what it was judged by before
    clock.advance(8 * 24 * 3600)
    predict(100, wrong=50)
    assert falls(shop) == [("wine@1", 0.5, 100)]
    clock.advance(8 * 24 * 3600)
    for count, wrong in ((100, 18), (50, 15)):  # 0.82, 0.78: above by so little is no rise
        predict(count, wrong)
        assert falls(shop) == []


def test_only_owners_that_are_named_count(workshop: Workshop, predict: Predict) -> None:
    predict(40, wrong=4)
    predict(60, wrong=60, owner="bob")
    assert falls(watched(workshop)) == []
    assert falls(watched(workshop, accuracy_owners="shop,bob")) == [("wine@1", 0, 60)]
    newer = watched(workshop, accuracy_owners="*", accuracy_window_seconds=1e-9)
    assert falls(newer) == []  # it is low already
    assert newest(workshop.database, "wine", since=0)[1].labelled == 60


def test_a_call_that_failed_is_made_again_later_a_few_times(
    workshop: Workshop, clock: Clock, predict: Predict
) -> None:
    shop, database = watched(workshop), workshop.database
    predict(40, wrong=20)
    note_falls(database, shop.settings)
    for calls, pause in enumerate(PAUSES_SECONDS, start=1):
        [alarm] = claim_due(database, "test", 60)
        assert list(claim_due(database, "another", 60)) == []
        settle(database, alarm, f"exit status {calls}")
        clock.advance(pause - 1)
        assert list(claim_due(database, "test", 60)) == []
        clock.advance(2)
    [alarm] = claim_due(database, "test", 60)
    settle(database, alarm, "exit status 9")
    clock.advance(24 * 3600)
    assert list(claim_due(database, "test", 60)) == []
    last = newest(database, "wine", since=0)[1]
    assert (last.calls, last.failure, last.told_at, last.due_at) == (MOST_CALLS, "exit status 9", None, None)


def test_a_call_whose_caller_died_is_made_again(workshop: Workshop, predict: Predict) -> None:
    shop, database = watched(workshop), workshop.database
    predict(40, wrong=20)
    note_falls(database, shop.settings)
    code = "from base.processes import this_process; print(this_process())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for calls in range(1, MOST_CALLS + 1):
        [alarm] = claim_due(database, dead.strip(), 600)
        assert alarm.calls == calls
    assert list(claim_due(database, this_process(), 600)) == []
    last = newest(database, "wine", since=0)[1]
    assert (last.due_at, last.failure) == (None, "its caller ended before it did")


def test_a_call_that_runs_is_not_made_a_second_time(
    workshop: Workshop, clock: Clock, predict: Predict
) -> None:
    shop, database = watched(workshop), workshop.database
    predict(40, wrong=20)
    note_falls(database, shop.settings)
    assert len(list(claim_due(database, this_process(), 600))) == 1
    clock.advance(599)
    assert list(claim_due(database, "another", 600)) == []
    clock.advance(SLACK_SECONDS + 2)
    assert len(list(claim_due(database, "another", 600))) == 1


def test_a_retired_version_is_not_watched(workshop: Workshop, predict: Predict) -> None:
    predict(20, wrong=20)
    workshop.registry.retire("wine", 1, lambda *_: (), "a test")
    assert falls(watched(workshop)) == []


def calling(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, code: str, **settings: object) -> Workshop:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0)
    return watched(workshop, **{"accuracy_command": f'{sys.executable} -c "{code}"', **settings})


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
    keeper = AccuracyWatch(calling(workshop, monkeypatch, "raise SystemExit('no data')"))
    line = told(keeper, "accuracy command failed")
    assert (line["failure"], line["said"]) == ("exit status 1", "no data")
    assert newest(workshop.database, "wine", since=0)[1].failure == "exit status 1: no data"


@ONE_KIND
def test_what_cannot_be_started_now_is_called_later(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    program = tmp_path / "retrain"
    keeper = AccuracyWatch(calling(workshop, monkeypatch, "", accuracy_command=str(program)))
    predict(40, wrong=20)
    assert "No such file" in str(told(keeper, "accuracy command not started")["reason"])
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o700)
    clock.advance(PAUSES_SECONDS[0])
    with monkeypatch.context() as no_room:
        no_room.setattr(tempfile, "tempdir", str(tmp_path / "full"))  # what it prints cannot be kept
        told(keeper, "accuracy command not started")
    clock.advance(PAUSES_SECONDS[1])
    assert told(keeper, "accuracy command done")["said"] == "here"
    assert newest(workshop.database, "wine", since=0)[1].told_at == clock.now


@ONE_KIND
def test_what_a_command_leaves_running_is_killed(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    code = (
        "import pathlib, subprocess; child = subprocess.Popen(['sleep', '600']); "
        f"pathlib.Path('{started}').write_text(str(child.pid))"
    )
    predict(40, wrong=20)
    told(AccuracyWatch(calling(workshop, monkeypatch, code)), "accuracy command done")
    wait_until(lambda: not is_alive(int(started.read_text())), "its child ends too")


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
    assert told(keeper, "accuracy command failed")["failure"] == "killed after 3 s"
    wait_until(lambda: not is_alive(int(started.read_text())), "its child ends too")


def is_alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@ONE_KIND
def test_what_runs_ends_with_the_caretaker_and_is_called_again(
    workshop: Workshop, predict: Predict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
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
    clock.advance(PAUSES_SECONDS[0])
    assert [alarm.calls for alarm in claim_due(workshop.database, "the next", 60)] == [2]


@pytest.mark.parametrize(
    "given", [{"accuracy_command": "retrain"}, {"accuracy_below": 0.8, "accuracy_command": "re'train"}]
)
def test_a_command_that_can_never_run_stops_the_start(given: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="ROWMILL_ACCURACY_COMMAND"):
        Settings(data_dir=tmp_path, **given)  # type: ignore[arg-type]


def test_with_keys_somebody_says_whose_predictions_count(tmp_path: Path) -> None:
    guarded: dict[str, Any] = {"data_dir": tmp_path, "require_keys": True, "accuracy_below": 0.8}
    with pytest.raises(ValidationError, match="needs ROWMILL_ACCURACY_OWNERS"):
        Settings(**guarded)
    with pytest.raises(ValidationError, match="accuracy_owners"):
        Settings(**guarded, accuracy_owners="shop nightly")
    assert Settings(**guarded, accuracy_owners="shop,nightly").accuracy_owners == "shop,nightly"


def test_an_accuracy_that_no_model_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Settings(data_dir=tmp_path, accuracy_below=1.5)
