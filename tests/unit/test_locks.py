"""Each lock has whatever Rowmill imports: a dependency is added to all of them, by `make lock`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def names(requirements: list[str]) -> set[str]:
    """As indexes write them."""
    found = [NAME.match(line) for line in requirements]
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "requirements-server.lock", "requirements-clients.lock"]
)
def test_a_lock_has_every_dependency(lock: str) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert names(wanted) - names((ROOT / lock).read_text().splitlines()) == set()
