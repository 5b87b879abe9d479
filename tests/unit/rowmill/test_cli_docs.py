"""`docs/cli.md` names every command and every exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import Typer

from rowmill.cli import app
from rowmill.cli.exits import ExitCode

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(typer_app: Typer, prefix: str = "rowmill") -> Iterator[str]:
    """Every command as it is typed, those of groups too."""
    for command in typer_app.registered_commands:
        yield f"{prefix} {command.name or getattr(command.callback, '__name__', '')}"
    for group in typer_app.registered_groups:
        assert group.typer_instance
        yield from commands(group.typer_instance, f"{prefix} {group.name}")


@pytest.mark.parametrize("command", list(commands(app)))
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}" in PAGE


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f"| {code.value} | " in PAGE
