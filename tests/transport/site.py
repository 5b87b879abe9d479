"""A Redis, a worker of the small app, and a hand on both: what a test of one setting needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from base.broker import Broker
from base.settings import Settings
from rowmill.stack.programs import child_environment, make_program
from tests.transport.redis_server import RedisServer
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SECONDS = 60  # for anything that takes moments on an idle machine


class Site:
    """One Redis and its workers, all in a folder of their own. :meth:`close` ends them."""

    def __init__(self, folder: Path, broker_url: str = "") -> None:
        """``broker_url`` is how workers reach the Redis, if not by its socket."""
        self.folder = folder
        (folder / "logs").mkdir(parents=True)
        self.redis = RedisServer(folder)
        self._broker_url = broker_url or self.redis.url
        self.broker = Broker(self.redis.url)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a worker with the stack's own command line; ``changes`` are those of ``small_app.py``."""
        settings = Settings(data_dir=self.folder, redis_url=self._broker_url, workers=1)
        environment = child_environment(settings, "transport") | {
            "PYTHONPATH": str(ROOT),
            "TRANSPORT_FOLDER": str(self.folder),
            "TRANSPORT_CHANGES": json.dumps(changes),
            "C_FORCE_ROOT": "1",  # or Celery refuses to unpickle anything for root
        }
        program = make_program("worker", settings, environment, api_socket=0)
        command = ["tests.transport.small_app" if word == "workers" else word for word in program.arguments]
        with program.log.open("ab") as log:
            worker = subprocess.Popen(
                command, env=environment, cwd=program.folder, stdout=log, stderr=log, start_new_session=True
            )
        self.workers.append(worker)
        return worker

    def wait_for_workers(self) -> None:
        """Return when every worker that was started takes messages."""
        self.wait_for("worker ready", len(self.workers))

    def send(self, task: str, *names: str) -> None:
        """Send a message of the product's form for each name."""
        for name in names:
            assert self.broker.send(task, name)

    def open_gate(self) -> None:
        """Let the tasks end that wait."""
        (self.folder / "gate").touch()

    def notes(self) -> list[str]:
        """What ran, in order."""
        file = self.folder / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def ended(self) -> set[str]:
        """Names of the tasks that ended."""
        return {line.removesuffix(" ends") for line in self.notes() if line.endswith(" ends")}

    def wait_for(self, note: str, times: int = 1, seconds: float = SECONDS) -> None:
        """Return when a note was left as often as that."""
        wait_until(
            lambda: self.notes().count(note) >= times, f"{times} times {note}: {self.notes()}", seconds
        )

    def messages(self) -> tuple[int, int]:
        """Messages that wait in Redis, and those that a worker holds."""
        return self.broker.queue_length(), int(str(self.redis.client.hlen("unacked")))

    def log(self) -> str:
        """What the workers printed."""
        return (self.folder / "logs" / "worker.log").read_text()

    def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        self.broker.close()
        self.redis.close()
