"""The Redis of a chaos run: behind a proxy, and restarted empty or from a dump that has grown old."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import redis

from rowmill.stack.redis_server import redis_arguments, socket_path
from tests.chaos.proxy import Proxy
from tests.waiting import wait_until


class RedisServer:
    """A real redis-server in ``folder``; the stack reaches it by TCP, at ``url``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "run").mkdir(parents=True)
        self._dump = folder / "run" / "dump.rdb"
        self._busy = threading.Lock()
        self._start()
        self._old = self._save()
        self._proxy = Proxy(socket_path(folder))
        self._proxy.start()

    @property
    def url(self) -> str:
        """The way through the proxy."""
        return f"redis://127.0.0.1:{self._proxy.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the server that runs now."""
        return self._process.pid

    def connect(self) -> redis.Redis:
        """A client that takes the direct way and gives up soon."""
        path = str(socket_path(self._folder))
        return redis.Redis(unix_socket_path=path, socket_timeout=2, socket_connect_timeout=1)

    def deafen(self) -> int:
        """Leave every connection half open."""
        return self._proxy.deafen()

    def restart_empty(self, away: threading.Event, seconds: float) -> None:
        """Kill the server, and start it again without memory after ``seconds``, or when the run is over."""
        with self._busy:
            self._kill()
            self._dump.unlink(missing_ok=True)
            away.wait(seconds)
            self._start()

    def restart_from_old_dump(self) -> None:
        """Kill the server, and start it again as it was the last time that this happened."""
        with self._busy:
            old, self._old = self._old, self._save()
            self._kill()
            self._dump.write_bytes(old)
            self._start()

    def close(self) -> None:
        """End server and proxy."""
        self._kill()
        self._proxy.close()

    def _start(self) -> None:
        self._process = subprocess.Popen(redis_arguments(self._folder), stdout=subprocess.DEVNULL)
        wait_until(self._answers, "Redis answers", 30)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with self.connect() as client:
                return bool(client.ping())
        except redis.RedisError:  # not there yet, or still reading its dump
            return False

    def _save(self) -> bytes:
        with self.connect() as client:
            client.save()
        return self._dump.read_bytes()
