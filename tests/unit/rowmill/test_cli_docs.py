"""`docs/cli.md` names every command and every exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowmill.cli import app
from rowmill.cli.exits import ExitCode

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
GROUPS = [group.name or "" for group in app.registered_groups]


@pytest.mark.parametrize("name", COMMANDS + GROUPS)
def test_every_command_is_documented(name: str) -> None:
    assert f"| `rowmill {name}" in PAGE


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f"| {code.value} | " in PAGE
