"""The supervisor, with small programs of the test's own as children."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rowmill.stack.child import Program, last_lines, rotate
from rowmill.stack.supervisor import LONGEST_PAUSE_SECONDS, Supervisor, restart_pause
from tests.waiting import wait_until

FOREVER = "import time\nprint('up', flush=True)\ntime.sleep(600)"
DEAF = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
WITH_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {FOREVER!r}])"


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor(lambda: None)
    yield supervisor
    supervisor.stop(at_once=True)


def python(folder: Path, code: str, *, name: str = "child", stop_seconds: float = 5) -> Program:
    return Program(
        name=name,
        arguments=(sys.executable, "-c", code),
        environment=dict(os.environ),
        folder=folder,
        log=folder / f"{name}.log",
        stop_seconds=stop_seconds,
    )


def printed(folder: Path, name: str = "child") -> str:
    log = folder / f"{name}.log"
    return log.read_text() if log.exists() else ""


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_child_comes_back_with_another_pid(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(python(tmp_path, FOREVER))
    first = supervisor.pids["child"]
    os.kill(first, signal.SIGKILL)
    second = wait_until(
        lambda: supervisor.pids.get("child", first) != first and supervisor.pids["child"], "restart"
    )
    assert is_running(second)
    assert supervisor.failures == {"child": 1}


def comes_back(supervisor: Supervisor) -> None:
    first = supervisor.pids["child"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pids.get("child", first) != first, "restart")


def test_a_log_that_somebody_removed_ends_nothing(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowmill.stack.supervisor.STABLE_SECONDS", 0.0)  # looks after logs from the start
    supervisor.start(python(tmp_path, FOREVER))
    (tmp_path / "child.log").unlink()
    comes_back(supervisor)
    assert (tmp_path / "child.log").exists()


def test_a_change_that_cannot_be_written_down_ends_nothing(tmp_path: Path) -> None:
    changes: list[int] = []

    def write_down() -> None:
        changes.append(1)
        if len(changes) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    supervisor = Supervisor(write_down)
    supervisor.start(python(tmp_path, FOREVER))
    comes_back(supervisor)
    comes_back(supervisor)
    supervisor.stop(at_once=True)
    assert len(changes) == 3


def test_the_children_of_a_dead_child_go_before_it_is_started_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(python(tmp_path, WITH_CHILD))
    first = supervisor.pids["child"]
    wait_until(lambda: "up" in printed(tmp_path), "the grandchild runs")
    (grandchild,) = psutil.Process(first).children()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pids.get("child", first) != first, "restart")
    assert not is_running(grandchild.pid)


def test_children_stop_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    say_goodbye = textwrap.dedent(
        """
        import signal, sys, time
        def leave(*_):
            with open("order", "a") as file:
                file.write(sys.argv[0] + " ".join(sys.argv[1:]) + "\\n")
            sys.exit()
        signal.signal(signal.SIGTERM, leave)
        print("up", flush=True)
        time.sleep(600)
        """
    )
    for name in ("first", "second", "third"):
        program = python(tmp_path, say_goodbye.replace("sys.argv[0]", repr(name)), name=name)
        supervisor.start(program)
    for name in ("first", "second", "third"):
        wait_until(lambda name=name: "up" in printed(tmp_path, name), f"{name} runs")  # type: ignore[misc]
    supervisor.stop()
    assert (tmp_path / "order").read_text().split() == ["third", "second", "first"]


def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_up(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(python(tmp_path, DEAF, stop_seconds=0.2))
    pid = supervisor.pids["child"]
    wait_until(lambda: "up" in printed(tmp_path), "the child runs")
    supervisor.stop()
    assert not is_running(pid)
    assert supervisor.pids == {}


def supervisor_threads() -> int:
    return sum(thread.name == "supervisor" for thread in threading.enumerate())


def test_no_restart_once_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(python(tmp_path, "print('one', flush=True)"))
    wait_until(lambda: printed(tmp_path).count("one") >= 2, "the child ran twice")
    supervising = supervisor_threads()
    supervisor.stop()
    assert supervisor.pids == {}
    # whoever starts children is gone, so that none can come after this
    assert supervisor_threads() == supervising - 1


def test_a_missing_folder_is_told_to_the_caller(supervisor: Supervisor, tmp_path: Path) -> None:
    program = python(tmp_path, FOREVER)
    with pytest.raises(FileNotFoundError):
        supervisor.start(Program(**{**program.__dict__, "folder": tmp_path / "gone"}))
    assert supervisor.pids == {}


def test_pauses_double_up_to_a_limit() -> None:
    pauses = [restart_pause(failures) for failures in range(1, 12)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses == sorted(pauses)
    assert restart_pause(1000) == LONGEST_PAUSE_SECONDS


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_kill_9_of_the_launcher_ends_its_children(tmp_path: Path) -> None:
    launcher = textwrap.dedent(
        f"""
        import json, os, sys, time
        from pathlib import Path
        from rowmill.stack.child import Program
        from rowmill.stack.supervisor import Supervisor
        folder = Path({str(tmp_path)!r})
        supervisor = Supervisor(lambda: None)
        sleeper = (sys.executable, "-c", {FOREVER!r})
        supervisor.start(Program("child", sleeper, os.environ, folder, folder / "child.log"))
        print(json.dumps(supervisor.pids), flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = json.loads(process.stdout.readline())["child"]
        wait_until(lambda: "up" in printed(tmp_path), "the child runs")
        process.kill()
    wait_until(lambda: not is_running(child), "the child is gone")


def test_a_log_is_rotated_in_place(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("old\n")
    with log.open("a") as writer:
        rotate(log)
        writer.write("new\n")
    assert (tmp_path / "api.log.1").read_text() == "old\n"
    assert log.read_text() == "new\n"


def test_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert last_lines(log, 2) == "line 9998\nline 9999"
