"""The programs of the stack: their command lines, their environment, and the order they start in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import make_url

from base.access.hosts import is_loopback
from base.settings import Settings
from rowmill.stack.child import Program
from rowmill.stack.problem import StackProblem
from rowmill.stack.record import MARK
from rowmill.stack.redis_server import redis_arguments

FLOWER_USER = "rowmill"
# Seconds between SIGTERM and SIGKILL. A worker may have a chunk to finish, and does not stop at all while its
# Redis is frozen; nothing is lost by the SIGKILL, for the database holds what is left to do.
STOP_SECONDS = {"redis": 5.0, "worker": 30.0, "caretaker": 10.0, "flower": 5.0, "api": 15.0}
# Started from left to right, stopped from right to left.
PROCESSES = ("redis", "worker", "caretaker", "flower", "api")


def child_environment(settings: Settings, stack_id: str) -> dict[str, str]:
    """The launcher's environment with every setting spelled out, so that all processes agree on them."""
    values = {f"ROWMILL_{name.upper()}": _as_text(value) for name, value in settings.model_dump().items()}
    environment = {
        **os.environ,  # passed on, not read
        **values,
        "ROWMILL_DATABASE_URL": _absolute_database_url(settings.database_url),
        MARK: stack_id,
        # One scoring process per core is the parallelism; more threads inside would only fight for the cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if password := settings.flower_password.get_secret_value():
        environment["FLOWER_BASIC_AUTH"] = f"{FLOWER_USER}:{password}"
    return environment


def make_program(name: str, settings: Settings, environment: dict[str, str], *, api_socket: int) -> Program:
    """One of ``PROCESSES``, ready to start. ``api_socket`` is the listening socket that the API takes over.

    The launcher keeps it open too, so that callers wait, and are not refused, while the API starts again.
    """
    return Program(
        name=name,
        arguments=_arguments(name, settings, api_socket),
        environment=environment,
        # Not the user's folder: a `models` or `base` of theirs would be imported instead of ours.
        folder=settings.data_dir / "run",
        log=settings.data_dir / "logs" / f"{name}.log",
        stop_seconds=STOP_SECONDS[name],
        inherit=(api_socket,) if name == "api" else (),
    )


def require_flower_password(settings: Settings) -> None:
    """Refuse to show Flower to other machines without a password."""
    if not is_loopback(settings.flower_host) and not settings.flower_password.get_secret_value():
        raise StackProblem(
            f"Flower would listen on {settings.flower_host} for everybody. Set ROWMILL_FLOWER_PASSWORD, "
            "or leave ROWMILL_FLOWER_HOST at 127.0.0.1."
        )


def _arguments(name: str, settings: Settings, api_socket: int) -> tuple[str, ...]:
    python = (sys.executable, "-m")
    celery = (*python, "celery", "-A", "workers")
    match name:
        case "redis":
            return redis_arguments(settings.data_dir)
        case "worker":
            return (*celery, "worker", "-E", "--without-mingle", "--without-gossip", "-l", settings.log_level)
        case "caretaker":
            return (*python, "workers.caretaker")
        case "flower":
            address = (f"--address={settings.flower_host}", f"--port={settings.flower_port}")
            return (*celery, "flower", *address, "--read_only=True")
        case "api":
            config = ("-c", "python:rowmill.stack.gunicorn_settings", "--bind", f"fd://{api_socket}")
            return (*python, "gunicorn", *config, "api:create_app()")
    raise ValueError(f"no process of the stack is called {name}")


def _as_text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _absolute_database_url(url: str) -> str:
    """The same SQLite file whatever folder a process runs in."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return url
    return parsed.set(database=str(Path(str(parsed.database)).absolute())).render_as_string(
        hide_password=False
    )
