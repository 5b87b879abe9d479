"""What takes long to make and is only read: made once for all processes of a test run (`pytest -n`)."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Path:
    """A folder that the first process to ask fills with ``make``; all others wait, and find it full."""
    own = factory.getbasetemp()
    common = own.parent if hasattr(request.config, "workerinput") else own
    folder, done = common / name, common / f"{name}.done"
    with (common / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed half way
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
