"""Whether the machine lets a stack start: folder, ports, Redis. A refusal is one line that says what to do.

`rowmill up` makes these checks before it starts anything, `rowmill doctor` whenever it is asked.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import redis

from base.broker import plain_redis_url
from base.urls import without_password
from rowmill.stack.problem import StackProblem

PROBE_BYTES = 1 << 16
REDIS_SECONDS = 3
BACKLOG = 2048


def prepare_folder(folder: Path) -> None:
    """Make the folder with its ``run`` and ``logs``, and prove that files can be written to its disk."""
    probe = folder / "run" / f"probe-{os.getpid()}"
    try:
        for part in ("run", "logs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StackProblem(_folder_message(folder, error)) from error
    finally:
        if probe.exists():
            probe.unlink()


def _folder_message(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk that holds the data folder {folder} is full. "
            "Free some space, or choose another folder with --data-dir."
        )
    return (
        f"The data folder {folder} cannot be written ({error.strerror}). "
        "Make it writable, or choose another with --data-dir."
    )


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens on ``port``, 0 for any free one; ``option`` is named in the refusal."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise StackProblem(_port_message(host, port, option, error)) from error


def _port_message(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        problem, advice = "is in use by another program", "Stop it, or choose another port"
    elif error.errno in (errno.EACCES, errno.EPERM):
        problem, advice = "needs more rights than yours", "Choose one above 1023"
    else:
        problem, advice = f"cannot be listened on ({error.strerror})", "Check the address, or change it"
    return f"Port {port} on {host} {problem}. {advice} with {option}."


def check_redis(url: str) -> None:
    """Refuse a Redis that does not answer, or that would throw messages away when memory is short."""
    shown = without_password(url)
    try:
        with redis.Redis.from_url(
            plain_redis_url(url),
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            decode_responses=True,
        ) as client:
            client.ping()
            policy = _eviction_policy(client)
    except (redis.RedisError, OSError, ValueError) as error:
        raise StackProblem(
            f"The Redis at {shown} cannot be used ({error}). Start it or correct ROWMILL_REDIS_URL; "
            "without that setting `rowmill up` starts its own."
        ) from error
    if policy not in (None, "noeviction"):
        raise StackProblem(
            f"The Redis at {shown} has maxmemory-policy {policy} and would throw messages away. "
            "Set it to noeviction: redis-cli CONFIG SET maxmemory-policy noeviction"
        )


def _eviction_policy(client: redis.Redis) -> str | None:
    """None where the server does not let us ask, as hosted ones do."""
    try:
        answer = client.config_get("maxmemory-policy")
    except redis.ResponseError:
        return None
    return dict(answer).get("maxmemory-policy") if isinstance(answer, dict) else None
