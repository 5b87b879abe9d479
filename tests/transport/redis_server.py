"""A Redis that a test may kill, start again empty, and freeze."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from base.broker import plain_redis_url
from rowmill.stack.redis_server import embedded_url, redis_arguments, socket_path
from tests.waiting import wait_until


class RedisServer:
    """The stack's own kind of Redis, on a socket in ``folder``/run. :meth:`close` ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "run").mkdir(parents=True, exist_ok=True)
        self.url = embedded_url(folder)
        self.client = redis.Redis.from_url(plain_redis_url(self.url), decode_responses=True)
        self.start()

    def start(self) -> None:
        """Start an empty Redis, and return when it answers."""
        socket_path(self._folder).unlink(missing_ok=True)
        self._process = subprocess.Popen(redis_arguments(self._folder), stdout=subprocess.DEVNULL)
        wait_until(self._answers, "Redis answers")

    def kill(self) -> None:
        """End it with all that it holds."""
        self._process.kill()
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections, and answer nothing, within the block."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it for good."""
        self.client.close()
        self.kill()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False
