"""`rowmill models alias, unalias, rollback, history, retire, rm`: what they say, and how they end."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest

from tests.unit.models.test_models_cli import data_dir, file, models

__all__ = ["data_dir", "file"]  # fixtures


@pytest.fixture
def two(file: Path) -> None:
    """Versions 1 and 2 of ``wine``, and ``production`` moved from one to the other."""
    for _ in range(2):
        models("add", "wine", file)
    for number in (1, 2):
        models("alias", f"wine@{number}", "production", "--note", f"step {number}")


def test_an_alias_goes_back_and_its_history_says_so(two: None) -> None:
    back = models("rollback", "wine", "--note", "too many refusals")
    assert (back.exit_code, back.stderr) == (0, "wine@production is wine@1 again; it was wine@2\n")
    header, *lines = [line.split() for line in models("history", "wine").stdout.splitlines()]
    assert header == ["WHEN", "WHO", "WHAT", "FROM", "TO", "NOTE"]
    assert [line[3] for line in lines] == ["added", "added", "production", "production", "production"]
    assert lines[-1][2:] == [
        getpass.getuser(),
        *["production", "(rollback)", "wine@2", "wine@1", "too", "many", "refusals"],
    ]
    documents = [
        json.loads(line) for line in models("history", "wine@production", "--json").stdout.splitlines()
    ]
    assert [(each["event"], each["before"], each["version"]) for each in documents] == [
        ("alias", None, 1),
        ("alias", 1, 2),
        ("rollback", 2, 1),
    ]
    assert {(each["model"], each["alias"]) for each in documents} == {("wine", "production")}


def test_a_version_is_retired_removed_and_still_shown(two: None, data_dir: Path) -> None:
    assert "the alias production points at it" in models("retire", "wine@2").stderr
    assert models("unalias", "wine@production").stderr == "wine@production is gone; it pointed at wine@2\n"
    assert models("retire", "wine@2", "--note", "drifted").exit_code == 0
    assert models("ls").stdout.splitlines()[1].startswith("wine@1")
    removed = models("rm", "wine@2")
    assert (removed.exit_code, removed.stderr) == (0, "the files of wine@2 are removed\n")
    assert not (data_dir / "models" / "wine" / "2").exists()
    shown = models("show", "wine@2").stdout
    assert f" by {getpass.getuser()}, drifted, files removed " in shown
    assert json.loads(models("show", "wine@2", "--json").stdout)["retired"]["note"] == "drifted"
    assert json.loads(models("show", "wine@1", "--json").stdout)["retired"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rm", "wine@1"], "(not_retired)"),
        (["rm", "wine@production"], "Name the version by its number"),
        (["retire", "wine"], "Name the version by its number"),
        (["retire", "wine@7"], "(unknown_version)"),
        (["rollback", "wine@1"], "Name an alias"),
        (["rollback", "wine@never"], "(unknown_alias)"),
        (["unalias", "wine"], "Name an alias"),
        (["history", "wine@1"], "say wine, or one of its aliases"),
        (["history", "vine"], "did you mean wine?"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_stderr(two: None, arguments: list[str], words: str) -> None:
    result = models(*arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert words in result.stderr
