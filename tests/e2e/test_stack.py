"""The whole stack as a user starts and stops it, and what is left when it is not stopped but killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from base.settings import Settings
from rowmill.stack import Stack
from rowmill.stack.programs import PROCESSES
from rowmill.stack.record import load_record
from tests.e2e.serving import ROWMILL, rowmill_up
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("stack"), port=0, flower_port=0)
    with Stack(settings) as running:
        yield running


def rowmill(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ROWMILL, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes of the stack in this folder, children's children too, launcher not included."""
    return [process for process in psutil.process_iter() if data_dir_of(process) == str(folder)]


def data_dir_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("ROWMILL_DATA_DIR")
    except psutil.Error:
        return None


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz?for=jobs", timeout=2).is_success
    except httpx.TransportError:
        return False


def test_all_processes_run_and_a_job_would(stack: Stack) -> None:
    assert set(stack.pids) == set(PROCESSES)
    wait_until(lambda: is_ready(stack.url), "a job would run")


def test_flower_shows_the_worker_and_lets_nobody_change_it(stack: Stack) -> None:
    def workers_page() -> str:
        try:
            return httpx.get(f"{stack.flower_url}/workers").text
        except httpx.TransportError:
            return ""

    wait_until(lambda: "celery@" in workers_page(), "Flower shows the worker", 30)
    answer = httpx.post(f"{stack.flower_url}/api/worker/shutdown/celery@{socket.gethostname()}")
    assert answer.status_code in (401, 403)


def test_numeric_libraries_use_one_thread(stack: Stack) -> None:
    for name in ("worker", "api"):
        environment = psutil.Process(stack.pids[name]).environ()
        assert [environment[f"{library}_NUM_THREADS"] for library in ("OMP", "OPENBLAS", "MKL")] == ["1"] * 3


def test_scoring_processes_yield_to_the_api(stack: Stack) -> None:
    api, worker = (psutil.Process(stack.pids[name]) for name in ("api", "worker"))

    def all_nicer() -> bool:
        return {child.nice() for child in worker.children()} == {worker.nice() + 10}

    wait_until(all_nicer, "scoring processes have begun", 60)
    assert {child.nice() for child in api.children()} == {worker.nice()}


def test_niceness_counts_between_them(stack: Stack) -> None:
    # Linux would share the processor between sessions before it looks at niceness
    assert len({os.getsid(pid) for pid in stack.pids.values()}) == 1


def test_a_second_start_says_what_runs_already(stack: Stack) -> None:
    done = rowmill("up", "--port", "0", "--flower-port", "0", "--data-dir", str(stack.settings.data_dir))
    assert done.returncode == 2
    assert stack.url in done.stderr
    assert f"process {os.getpid()}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert is_ready(stack.url)


def test_a_port_in_use_is_one_clear_line(stack: Stack, tmp_path: Path) -> None:
    port = str(stack.settings.port)
    done = rowmill("up", "--port", port, "--flower-port", "0", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"rowmill: Port {port} on 127.0.0.1 is in use by another program. "
        "Stop it, or choose another port with --port.\n"
    )
    assert processes_of(tmp_path) == []


def test_doctor_finds_nothing_wrong_with_a_running_stack(stack: Stack) -> None:
    wait_until(lambda: is_ready(stack.url), "a job would run")
    done = rowmill(
        "doctor",
        "--json",
        ROWMILL_DATA_DIR=str(stack.settings.data_dir),
        ROWMILL_PORT=str(stack.settings.port),
    )
    assert done.returncode == 0, done.stdout
    findings = json.loads(done.stdout)
    assert all(finding["ok"] for finding in findings)
    assert {finding["check"] for finding in findings} >= {"redis", "database", "worker", "caretaker", "port"}


def test_doctor_says_how_to_mend_a_stack_that_does_not_run(tmp_path: Path) -> None:
    done = rowmill("doctor", ROWMILL_DATA_DIR=str(tmp_path), ROWMILL_PORT="1")
    assert done.returncode == 1
    assert "rowmill up" in done.stdout
    assert "rowmill upgrade" in done.stdout
    assert done.stderr == ""
    assert rowmill("upgrade", ROWMILL_DATA_DIR=str(tmp_path)).returncode == 0
    assert rowmill("doctor", "database", ROWMILL_DATA_DIR=str(tmp_path)).returncode == 0


def test_config_shows_where_each_value_comes_from_and_no_secret(tmp_path: Path) -> None:
    done = rowmill("config", "--json", ROWMILL_DATA_DIR=str(tmp_path), ROWMILL_FLOWER_PASSWORD="hush")
    shown = {row["setting"]: row for row in json.loads(done.stdout)}
    assert shown["ROWMILL_DATA_DIR"]["value"] == str(tmp_path)
    assert shown["ROWMILL_DATA_DIR"]["source"] == "environment"
    assert shown["ROWMILL_MAX_ATTEMPTS"]["source"] == "default"
    assert "hush" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back(stack: Stack, name: str) -> None:
    killed = stack.pids[name]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: stack.pids.get(name, killed) != killed, f"{name} is started again")
    wait_until(lambda: is_ready(stack.url), "a job would run", 30)


@pytest.mark.slow
def test_sigterm_stops_everything(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    desk = tmp_path_factory.mktemp("desk")
    for name in ("models", "base", "jobs"):  # folders as a user may have them where the stack is started
        (desk / name).mkdir()
        (desk / name / "__init__.py").write_text("raise SystemExit('not the user's own')")
    with rowmill_up(tmp_path, started_in=desk) as process:
        record = load_record(tmp_path / "run" / "stack.json")
        assert record
        assert is_ready(record.url)
        process.terminate()
        assert process.wait(60) == 0
    assert processes_of(tmp_path) == []
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"]
    assert not is_ready(record.url)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what is left")
def test_kill_9_of_the_launcher_leaves_no_process_and_no_obstacle(tmp_path: Path) -> None:
    with rowmill_up(tmp_path) as process:
        assert len(processes_of(tmp_path)) > 5, "workers of API and Celery included"
        process.kill()
    wait_until(lambda: not processes_of(tmp_path), "every process is gone")
    with rowmill_up(tmp_path) as process:
        process.terminate()
        assert process.wait(60) == 0
