"""A round of retraining on a real stack: a better version stays in production, a bad one does not."""

from __future__ import annotations

import configparser
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier
from typer.testing import CliRunner

from base.settings import Settings
from examples.retraining.retrain import SmokeTestFailed, looks_right
from models.registry import PRODUCTION
from rowmill.cli import app
from rowmill.cli.exits import ExitCode
from rowmill.stack import Stack
from rowmill.stack.programs import PROCESSES, child_environment
from tests.conftest import EXAMPLES

NAME = "wine"
FILES = EXAMPLES / "retraining"
# what a workflow has in place of a value of the repository's settings
EXPRESSION = re.compile(r"\$\{\{ (?:vars|secrets)\.(\w+) \}\}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with leases of the usual length: a round has one try, busy machine or not."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("stack"), port=0)
    with Stack(settings, only=set(PROCESSES) - {"flower"}) as running:
        yield running


def retrained(stack: Stack, place: Path, *train: str | Path) -> subprocess.CompletedProcess[str]:
    """One round with a command that trains and adds."""
    return subprocess.run(
        (sys.executable, FILES / "retrain.py", NAME, place / "smoke.csv", "--", *train),
        env={**child_environment(stack.settings, ""), "ROWMILL_URL": stack.url, "TMPDIR": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )


def command(stack: Stack, *arguments: str) -> str:
    environment = {"ROWMILL_DATA_DIR": str(stack.settings.data_dir), "ROWMILL_URL": stack.url}
    environment["ROWMILL_DATABASE_URL"] = child_environment(stack.settings, "")["ROWMILL_DATABASE_URL"]
    done = CliRunner().invoke(app, arguments, env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout


def meant(stack: Stack) -> int:
    """The version that the plain name means."""
    version: int = json.loads(command(stack, "models", "show", NAME, "--json"))["version"]
    return version


def test_one_round_at_a_time(tmp_path: Path) -> None:
    """It is found out before anything is asked of a stack."""
    with (tmp_path / f"rowmill-retrain-{NAME}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        busy = subprocess.run(
            (sys.executable, FILES / "retrain.py", NAME, tmp_path, "--", "true"),
            env=os.environ | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert busy.returncode == 75
    assert "another round is running" in busy.stderr


@pytest.mark.parametrize("predictions", [["a", None], [], ["a", "a"]])
def test_predictions_that_cannot_be_right(tmp_path: Path, predictions: list[str | None]) -> None:
    pq.write_table(pa.table({"prediction": pa.array(predictions, pa.string())}), tmp_path / "r.parquet")
    with pytest.raises(SmokeTestFailed):
        looks_right(tmp_path / "r.parquet")


def test_predictions_that_may_be_right(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prediction": ["a", "b"]}), tmp_path / "r.parquet")
    looks_right(tmp_path / "r.parquet")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workflow and the service find where they run: the scripts, and rows to try a version with."""
    place = tmp_path_factory.mktemp("repository")
    for script in (FILES / "retrain.py", EXAMPLES / "training.py", EXAMPLES / "train_wine.py"):
        shutil.copy(script, place)
    load_wine(as_frame=True).data.to_csv(place / "smoke.csv", index=False)
    return place


def environment_of_a_runner(place: Path) -> dict[str, str]:
    """Nothing of Rowmill's, and no program of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROWMILL_")}
    outside = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(EXAMPLES.parent),
        "TMPDIR": str(place),
    }
    return {**inherited, **outside}


def follow_workflow(stack: Stack, place: Path) -> str:
    """Every step of the workflow's one job, as a runner takes it; what they printed, and the summary."""
    at = {f"ROWMILL_{name}": "" for name in ("API_KEY", "DATABASE_URL")}
    at |= {"ROWMILL_DATA_DIR": str(stack.settings.data_dir), "ROWMILL_URL": stack.url}
    at |= {"ROWMILL_BIN": str(Path(sys.executable).parent)}

    def filled_in(given: dict[str, str]) -> dict[str, str]:
        return {name: re.sub(EXPRESSION, lambda found: at[found[1]], value) for name, value in given.items()}

    workflow = yaml.safe_load((FILES / "retrain.yml").read_text())
    [job] = workflow["jobs"].values()
    assert set(workflow[True]) == {"schedule", "workflow_dispatch"}, "YAML reads the key `on` as true"
    environment = environment_of_a_runner(place) | filled_in(job["env"])
    path, summary, script = (place.parent / f"{place.name}.{name}" for name in ("path", "summary", "sh"))
    environment |= {"GITHUB_PATH": str(path), "GITHUB_STEP_SUMMARY": str(summary)}
    path.touch()
    told = ""
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            continue
        script.write_text(step["run"])
        found = os.pathsep.join([*reversed(path.read_text().splitlines()), environment["PATH"]])
        told += in_shell(script, place, environment | filled_in(step.get("env", {})) | {"PATH": found})
    return told + summary.read_text()


def in_shell(script: Path, place: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ("bash", "-e", script), cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_the_workflow_is_a_round_and_a_version_that_guesses_is_taken_back(
    stack: Stack, repository: Path
) -> None:
    told = follow_workflow(stack, repository)
    assert f"wine@{PRODUCTION} is now wine@1" in told
    assert "retrained" in told, "the summary has the history"

    # it has passed no gate, and is found out by its answers
    guess = repository / "guess.joblib"
    joblib.dump(
        DummyClassifier(strategy="most_frequent").fit(*load_wine(return_X_y=True, as_frame=True)), guess
    )
    program = Path(sys.executable).with_name("rowmill")
    sample = ("--sample", repository / "smoke.csv")
    failed = retrained(stack, repository, program, "models", "add", NAME, guess, *sample)
    assert failed.returncode == 1, failed.stderr
    assert f"{NAME}@{PRODUCTION} is {NAME}@1 again; it was {NAME}@2" in failed.stderr
    assert "smoke test failed: all 178 rows are 1" in failed.stderr
    assert meant(stack) == 1
    assert "smoke test: all 178 rows" in command(stack, "models", "show", f"{NAME}@2")


def test_the_service_runs_what_the_workflow_runs() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(FILES / "retrain-wine.service")
    service = unit["Service"]
    [line] = [line for line in round_of_workflow().splitlines() if "retrain.py" in line]
    run = shlex.split(service["ExecStart"].replace("/srv/rowmill/.venv/bin/", ""))
    assert run == shlex.split(line.partition("||")[0])
    assert set(service["SuccessExitStatus"].split()) == {str(ExitCode.BAR_MISSED.value), "75"}


def round_of_workflow() -> str:
    """Its script, each command on one line."""
    steps = yaml.safe_load((FILES / "retrain.yml").read_text())["jobs"]["retrain"]["steps"]
    script: str = "\n".join(step.get("run", "") for step in steps)
    return script.replace("\\\n", "")
