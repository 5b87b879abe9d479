"""The whole stack on one machine: `rowmill up`, `make demo` and the end-to-end tests all start it here."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from sqlalchemy import func, select
from uuid6 import uuid7

from base.database import Database
from base.database.tables import workers
from base.meter.folder import MeterFolder
from base.settings import Settings
from rowmill.stack.checks import check_redis, listen, prepare_folder
from rowmill.stack.child import Program, last_lines
from rowmill.stack.keys import require_key
from rowmill.stack.problem import StackProblem
from rowmill.stack.programs import PROCESSES, child_environment, make_program, require_flower_password
from rowmill.stack.record import Record, end_leftovers, load_record, lock, started_at
from rowmill.stack.redis_server import embedded_url, socket_path
from rowmill.stack.supervisor import Supervisor
from rowmill.stack.upgrade import upgrade

RECORD = "stack.json"
# A process that cannot start has died long before; where others keep the processor busy, workers, which are
# nicer than all else, are slow to begin.
READY_SECONDS = 180
POLL_SECONDS = 0.05
DOUBLE_INTERRUPT_SECONDS = 1
EARLY_DEATHS = 3  # a program that dies this often before the stack is ready will not get better by itself


class Stack:
    """Redis, API, workers, caretaker and Flower as child processes, restarted when they die.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`::

        with Stack(Settings(data_dir=folder, port=0, flower_port=0)) as stack:
            httpx.get(f"{stack.url}/healthz")
            os.kill(stack.pids["worker"], signal.SIGKILL)  # comes back with another id

    Entering it returns when the API answers and a worker is ready, and raises StackProblem, one line that
    says what to do, if that cannot be. Port 0 means any free port. With the default ``redis_url`` it starts a
    Redis of its own on a Unix socket in the data folder, else it uses the one given. ``only`` names the
    processes to start (of ``PROCESSES``), for tests of a stack that lacks one.

    Everything lies under ``settings.data_dir``; ``logs/<process>.log`` holds what a process printed. One
    stack may run per data folder. On Linux no process outlives the caller of :meth:`start`, however it ends.
    """

    def __init__(self, settings: Settings, *, only: Collection[str] = PROCESSES) -> None:
        self.settings = settings
        """The settings that the processes got: after :meth:`start` with the real ports and ``url``."""
        self._run = settings.data_dir / "run"
        self._names = [name for name in PROCESSES if name in only]
        if settings.redis_url != embedded_url(settings.data_dir):
            self._names = [name for name in self._names if name != "redis"]
        self._open = contextlib.ExitStack()
        self._supervisor: Supervisor | None = None
        self._record = Record(stack_id="", pid=0, url="", flower_url="")

    @property
    def url(self) -> str:
        """Where the API answers, without a final slash; known after :meth:`start`."""
        return self.settings.url

    @property
    def flower_url(self) -> str:
        """Where Flower shows the workers."""
        return _url(self.settings.flower_host, self.settings.flower_port)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of ``PROCESSES``; one that waits for its restart is missing."""
        return self._supervisor.pids if self._supervisor else {}

    def log(self, name: str) -> Path:
        """The file that holds what the process printed."""
        return self.settings.data_dir / "logs" / f"{name}.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is ready; leaves nothing behind if that fails."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop API, Flower, caretaker, workers, Redis, in that order; Ctrl-C meanwhile kills what is left."""
        try:
            if self._supervisor:
                self._stop_supervisor(self._supervisor)
        finally:
            self._open.close()

    def _stop_supervisor(self, supervisor: Supervisor) -> None:
        began, at_once, stopped = time.monotonic(), False, False
        while not stopped:
            try:
                supervisor.stop(at_once=at_once)
                stopped = True
            except KeyboardInterrupt:  # some terminals and tools send the first one twice
                at_once = time.monotonic() - began > DOUBLE_INTERRUPT_SECONDS

    def wait(self) -> None:
        """Return when the stack was stopped, or raise KeyboardInterrupt on Ctrl-C."""
        if self._supervisor:
            self._supervisor.wait()

    def _start(self) -> None:
        require_flower_password(self.settings)
        prepare_folder(self.settings.data_dir)
        self._open.enter_context(lock(self._run))
        if left := load_record(self._run / RECORD):
            end_leftovers(left)
        # the API's processes do it, unless they were killed
        self._open.callback(MeterFolder(self.settings.data_dir).remove_unused)
        api_socket = self._open.enter_context(listen(self.settings.host, self.settings.port, "--port"))
        self._settle_ports(api_socket)
        upgrade(self.settings.database_url)
        require_key(self.settings)
        self._open.callback((self._run / RECORD).unlink, missing_ok=True)
        supervisor = self._supervisor = Supervisor(self._save_record)
        programs = self._programs(api_socket)
        if "redis" in programs:
            self._open.callback(socket_path(self.settings.data_dir).unlink, missing_ok=True)
            supervisor.start(programs.pop("redis"))
            self._wait_until("redis", self._redis_listens)
        check_redis(self.settings.redis_url)
        database = Database(self.settings.database_url)
        self._open.callback(database.dispose)
        with database.reading() as connection:
            began = database.now(connection)
        for program in programs.values():
            supervisor.start(program)
        if "worker" in programs:
            self._wait_until("worker", lambda: _worker_seen(database, began))
        if "api" in programs:
            self._wait_until("api", self._api_answers)

    def _settle_ports(self, api_socket: socket.socket) -> None:
        """Replace port 0 by real ones, and find out now whether Flower's is free."""
        host, flower_host = self.settings.host, self.settings.flower_host
        port = api_socket.getsockname()[1]
        with listen(flower_host, self.settings.flower_port, "--flower-port") as probe:
            flower_port = probe.getsockname()[1]
        self.settings = self.settings.model_copy(
            update={"port": port, "flower_port": flower_port, "url": _url(host, port)}
        )
        self._record = Record(str(uuid7()), os.getpid(), self.url, _url(flower_host, flower_port))

    def _programs(self, api_socket: socket.socket) -> dict[str, Program]:
        environment = child_environment(self.settings, self._record.stack_id)
        return {
            name: make_program(name, self.settings, environment, api_socket=api_socket.fileno())
            for name in self._names
        }

    def _save_record(self) -> None:
        self._record.processes = {name: (pid, started_at(pid)) for name, pid in self.pids.items()}
        self._record.save(self._run / RECORD)

    def _redis_listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(socket_path(self.settings.data_dir))) == 0

    def _api_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).is_success
        except httpx.TransportError:
            return False

    def _wait_until(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Poll until ``name`` is ready; raise StackProblem with the end of a log if that comes to nothing."""
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            failures = self._supervisor.failures if self._supervisor else {}
            if dead := [name for name, deaths in failures.items() if deaths >= EARLY_DEATHS]:
                raise StackProblem(self._with_log(dead[0], "does not start"))
            if time.monotonic() > deadline:
                raise StackProblem(self._with_log(name, f"was not ready within {READY_SECONDS} s"))
            time.sleep(POLL_SECONDS)

    def _with_log(self, name: str, what: str) -> str:
        log = self.log(name)
        if not (end := last_lines(log)):
            return f"The {name} process {what}, and wrote nothing. If the machine is busy, start again later."
        return f"The {name} process {what}. The end of {log}:\n{end}"


def _worker_seen(database: Database, since: float) -> bool:
    """Whether a worker gave a sign of life since; those of an earlier run do not count."""
    query = select(func.count()).select_from(workers).where(workers.c.seen_at >= since)
    with database.reading() as connection:
        return connection.execute(query).scalar_one() > 0


def _url(host: str, port: int) -> str:
    """The address as this machine calls it, for a server that listens on ``host``."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
