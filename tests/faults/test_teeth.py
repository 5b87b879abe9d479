"""Would the tests notice? Each guard is taken out of a copy of the source, and a test must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("api", "base", "jobs", "models", "workers", "rowmill", "tests", "examples")
PYTEST_FAILED = 1

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Tooth:
    """A guard as it stands in a file, what is left without it, and the tests that must fail then."""

    name: str
    file: str
    guard: str
    without: str
    tests: tuple[str, ...]


TEETH = (
    Tooth(
        "the attempt number as a fence",
        "jobs/lifecycle/chunks.py",
        "        chunks.c.attempt == held.attempt,\n",
        "",
        ("tests/faults/test_lifecycle_machine.py", "-k", "sqlite"),
    ),
    Tooth(
        "the lease",
        "jobs/lifecycle/chunks.py",
        "abandoned = and_(running, lease_is_over(chunks.c.lease_until, now, lease_seconds))",
        "abandoned = running",
        ("tests/contract/test_lifecycle.py", "-k", "sqlite"),
    ),
    Tooth(
        "the sentinel",
        "jobs/caretaker.py",
        "if remembered is None or remembered != recorded:",
        "if False:",
        ("tests/contract/test_caretaker.py", "-k", "sqlite"),
    ),
    Tooth(
        "BEGIN IMMEDIATE",
        "base/database/engine.py",
        '"BEGIN IMMEDIATE" if writer else "BEGIN"',
        '"BEGIN"',
        ("tests/contract/test_database.py", "-k", "sqlite"),
    ),
    Tooth(
        "the fsync of a file",
        "base/files.py",
        "        _fsync(draft)\n",
        "",
        ("tests/unit/base/test_files.py",),
    ),
    Tooth(
        "the fsync of its folder",
        "base/files.py",
        "        _fsync(target.parent)\n",
        "",
        ("tests/unit/base/test_files.py",),
    ),
)


@pytest.mark.parametrize("tooth", TEETH, ids=lambda tooth: tooth.name.replace(" ", "_"))
def test_a_missing_guard_is_noticed(tooth: Tooth, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "celeryconfig.py"):
        shutil.copy(ROOT / name, copy)
    source = (copy / tooth.file).read_text()
    assert source.count(tooth.guard) == 1, f"{tooth.file} does not hold the guard as it is written here"
    assert _outcome(copy, tooth) == 0, "the tests must pass while the guard is there"
    (copy / tooth.file).write_text(source.replace(tooth.guard, tooth.without))
    assert _outcome(copy, tooth) == PYTEST_FAILED


def _outcome(copy: Path, tooth: Tooth) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tooth.tests]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode
