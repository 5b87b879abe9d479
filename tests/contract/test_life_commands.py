"""`rowmill models alias, unalias, rollback, history, retire, rm`: what they say and do, on both databases."""

from __future__ import annotations

import getpass
import json
import os
import pwd
from pathlib import Path

import joblib
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB
from typer.testing import CliRunner, Result

from base.database import Database
from models.registry import Registry
from rowmill.cli.exits import ExitCode
from rowmill.cli.models_commands import app
from tests.builders import AddedModel, new_job
from tests.contract.test_registry import put


def models(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def registry(
    wine: AddedModel, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """Versions 1 and 2 of ``wine`` where the commands look for them."""
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ROWMILL_DATABASE_URL", database.url)
    registry = Registry(database, tmp_path / "models")
    wine.put_into(database, registry)
    put(database, registry, wine.manifest.model_copy(update={"version": 2}))
    return registry


@pytest.fixture
def moved() -> None:
    """``production`` went from the first version to the second."""
    for number in (1, 2):
        done = models("alias", f"wine@{number}", "production", "--note", f"step {number}")
        assert done.stderr == f"wine@production is now wine@{number}\n"


def test_an_alias_goes_back_and_its_history_says_so(moved: None) -> None:
    back = models("rollback", "wine", "--note", "too many refusals")
    assert (back.exit_code, back.stderr) == (0, "wine@production is wine@1 again; it was wine@2\n")
    lines = [line.split() for line in models("history", "wine").stdout.splitlines()]
    header, *events = sorted(lines, key=lambda line: line[0] != "WHEN")
    assert header == ["WHEN", "WHO", "WHAT", "FROM", "TO", "NOTE"]
    last = ["(rollback)", "wine@2", "wine@1", "too", "many", "refusals"]
    assert [getpass.getuser(), "production", *last] in [event[2:] for event in events]
    assert [event[3] for event in events].count("added") == 2
    documents = [
        json.loads(line) for line in models("history", "wine@production", "--json").stdout.splitlines()
    ]
    assert [(each["event"], each["before"], each["version"]) for each in documents] == [
        ("alias", None, 1),
        ("alias", 1, 2),
        ("rollback", 2, 1),
    ]
    assert {(each["model"], each["alias"]) for each in documents} == {("wine", "production")}


def test_a_move_may_be_bound_to_where_the_alias_points(moved: None) -> None:
    late = models("rollback", "wine", "--if", "wine@1")
    assert (late.exit_code, late.stdout) == (ExitCode.ALIAS_MOVED, "")
    assert late.stderr == (
        "rowmill: wine@production points at wine@2, not at wine@1; it is left as it is. (alias_moved)\n"
    )
    assert models("alias", "wine@1", "production", "--if", "none").exit_code == ExitCode.ALIAS_MOVED
    assert models("unalias", "wine@production", "--if", "wine@1").exit_code == ExitCode.ALIAS_MOVED
    assert models("alias", "wine@1", "production", "--if", "wine@2").exit_code == 0
    assert models("rollback", "wine", "--if", "wine@1").stderr.startswith("wine@production is wine@2 again")


def test_a_rollback_says_what_came_back(moved: None) -> None:
    assert models("split", "wine@production", "wine@1=1", "wine@2=9").exit_code == 0
    assert models("alias", "wine@1", "production").exit_code == 0
    back = models("rollback", "wine")
    assert back.stderr == "wine@production is wine@2 again (1=1 2=9); it was wine@1\n"


def test_a_version_is_retired_removed_and_still_shown(
    moved: None, registry: Registry, database: Database
) -> None:
    new_job(database, model_name="wine", model_version=2)
    refused = models("retire", "wine@2")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the alias production points at it; 1 job that uses it has not ended" in refused.stderr
    assert models("unalias", "wine@production").stderr == "wine@production is gone; it pointed at wine@2\n"
    assert models("retire", "wine@1", "--note", "drifted").exit_code == 0
    assert models("ls").stdout.splitlines()[1].startswith("wine@2")
    removed = models("rm", "wine@1")
    assert (removed.exit_code, removed.stderr) == (0, "the files of wine@1 are removed\n")
    assert not registry.folder("wine", 1).exists()
    shown = models("show", "wine@1").stdout
    assert f" by {getpass.getuser()}, drifted, files removed " in shown
    assert json.loads(models("show", "wine@1", "--json").stdout)["retired"]["note"] == "drifted"
    assert json.loads(models("show", "wine@2", "--json").stdout)["retired"] is None


def test_a_version_below_its_bar_is_not_added_and_one_above_is(wine: AddedModel, tmp_path: Path) -> None:
    inputs = pd.read_csv(wine.sample)
    kinds = joblib.load(wine.file).predict(inputs)
    inputs.assign(kind=kinds).to_csv(tmp_path / "held.csv", index=False)
    file = tmp_path / "poor.joblib"
    joblib.dump(GaussianNB().fit(inputs, (kinds + 1) % 3), file)
    asked = ["--target", "kind", "--holdout", tmp_path / "held.csv", "--better-than", "production"]
    refused = models("add", "wine", file, *asked)
    assert (refused.exit_code, refused.stdout) == (ExitCode.BAR_MISSED, "")
    assert "accuracy>1 of wine@2" in refused.stderr
    assert len(models("ls", "wine").stdout.splitlines()) == 3
    added = models("add", "other", file, *asked, "--require", "accuracy>=0")
    assert (added.exit_code, added.stdout) == (0, "other@1\n")
    assert "measured   accuracy 0" in models("show", "other").stdout


def test_whoever_has_no_name_has_a_number(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert models("alias", "wine@1", "production").exit_code == 0
    assert models("shadow", "wine@production", "wine@2").exit_code == 0
    assert models("shadow", "wine@production", "--off").exit_code == 0
    assert models("split", "wine@production", "wine@1=1", "wine@2=1").exit_code == 0
    history = registry.history("wine", "production")
    assert [event.by for event in history] == [f"uid {os.getuid()}"] * 4


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
        (["rollback", "wine", "--if", "wine"], "Name the version by its number"),
        (["rollback", "wine", "--if", "vine@1"], "vine@1 is no version of wine"),
        (["alias", "wine@1", "production", "--note", "x" * 501], "500 characters at most"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_stderr(arguments: list[str], words: str) -> None:
    result = models(*arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert words in result.stderr
