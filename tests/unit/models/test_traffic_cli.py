"""`rowmill models split` and `shadow`: what they say, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.models.test_models_cli import data_dir, file, models

__all__ = ["data_dir", "file"]  # fixtures


@pytest.fixture(autouse=True)
def _three(data_dir: Path, file: Path) -> None:
    """Versions 1 to 3 of ``wine``."""
    for _ in range(3):
        models("add", "wine", file)


def test_an_alias_is_split_shadowed_shown_and_whole_again() -> None:
    split = models("split", "wine@live", "wine@1=90", "wine@2=10", "--sticky-by", "x3", "--note", "try it")
    assert (split.exit_code, split.stderr) == (0, "wine@live: 1=90 2=10, sticky by x3\n")
    shadow = models("shadow", "wine@live", "wine@3")
    assert (shadow.exit_code, shadow.stderr) == (0, "wine@live: 1=90 2=10, sticky by x3, shadow 3\n")
    assert "traffic    live: 1=90 2=10, sticky by x3, shadow 3\n" in models("show", "wine@live").stdout
    assert json.loads(models("show", "wine", "--json").stdout)["traffic"]["live"]["shadow"] == 3
    said = " ".join(models("shadow", "wine@live", "wine@2").stderr.split())
    assert "wine@2 answers requests to wine@live already; end the split first (--off)." in said
    assert models("split", "wine@live", "--off").stderr == "wine@live: shadow 3\n"
    assert "already; name another version." in " ".join(
        models("shadow", "wine@live", "wine@1").stderr.split()
    )
    assert models("shadow", "wine@live", "--off").stderr == "wine@live: off\n"
    lines = models("history", "wine@live").stdout.splitlines()[1:]
    assert [line.split("  ")[-1].strip() for line in lines] == ["try it", "try it", "-", "-", "-"]
    assert "live (traffic)" in lines[1]
    assert "1=90 2=10, sticky by x3" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["split", "wine@live"], 2, "name the arms"),
        (["split", "wine@live", "wine@1=1", "--off"], 2, "name the arms"),
        (["split", "wine", "wine@1=1", "wine@2=1"], 1, "Name an alias"),
        (["split", "wine@live", "wine@1", "wine@2"], 1, "'wine@1' is not a version with its weight"),
        (["split", "wine@live", "wine@1=1", "vine@2=1"], 1, "'vine@2' is no version of wine"),
        (["split", "wine@live", "wine@1=1", "wine@9=1"], 1, "wine has no version 9"),
        (["split", "wine@live", "wine@1=1", "wine@2=1", "--sticky-by", "id"], 1, "no column 'id'"),
        (["shadow", "wine@live"], 2, "name the challenger"),
        (["shadow", "wine@live", "wine@3"], 1, "has no alias 'live'"),
    ],
)
def test_what_is_refused(arguments: list[str], code: int, says: str) -> None:
    ended = models(*arguments)
    assert ended.exit_code == code
    assert says in " ".join(ended.stderr.split())
