"""What a round of retraining leaves behind when it goes wrong: no job, and nobody else's work undone.

The commands of the round run in this process; a whole round stands in ``e2e/test_retraining.py``.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from werkzeug.serving import make_server

from examples.retraining import retrain
from examples.retraining.retrain import Production
from models.registry import Registry
from rowmill.cli import app
from rowmill.cli.exits import ExitCode
from tests.contract.conftest import Served
from tests.contract.test_registry import put


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind will do: a round knows the command line only."""
    return sqlite_url


@pytest.fixture
def registry(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Versions 1 to 3 of ``wine``, served over HTTP; nobody scores."""
    registry = served.workshop.registry
    manifest = registry.get("wine", 1)
    for version in (2, 3):
        put(served.workshop.database, registry, manifest.model_copy(update={"version": version}))
    server = make_server("127.0.0.1", 0, served.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("ROWMILL_URL", f"http://127.0.0.1:{server.server_port}")
    yield registry
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def smoke(served: Served, tmp_path: Path) -> Path:
    path = tmp_path / "smoke.csv"
    path.write_bytes(served.csv(20))
    return path


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`rowmill` without a process of its own, and a round that keeps its hands off the tests' signals."""
    start = subprocess.run

    def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[0] != retrain.ROWMILL:
            return start(command, **options)
        done = CliRunner().invoke(app, list(command[1:]))
        if done.exit_code and options["check"]:
            raise subprocess.CalledProcessError(done.exit_code, list(command))
        return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(retrain, "SIGNALS", ())


def test_a_smoke_job_that_does_not_end_leaves_everything_as_it_was(
    registry: Registry, served: Served, smoke: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.set_alias("wine", 2, "production", "ada")
    registry.shadow("wine", "production", 1, "ada")
    before = registry.traffic()
    monkeypatch.setattr(retrain, "SMOKE_SECONDS", 1)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        retrain.one_round("wine", smoke, ["echo", "wine@3"])
    assert failed.value.returncode == ExitCode.TIMEOUT
    [job] = served.get("/jobs").json["jobs"]
    assert (job["status"], job["model"]["version"]) == ("cancelled", 3)
    assert registry.resolve("wine").version == 2
    assert registry.traffic() == before
    assert registry.retirement("wine", 3) is not None


def test_what_somebody_else_puts_into_production_meanwhile_stays(
    registry: Registry, smoke: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.set_alias("wine", 1, "production", "ada")

    def trained(command: Sequence[str]) -> str:
        registry.set_alias("wine", 2, "production", "bob")
        return "wine@3"

    monkeypatch.setattr(retrain, "trained", trained)
    monkeypatch.setattr(retrain, "SMOKE_SECONDS", 1)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        retrain.one_round("wine", smoke, [])
    assert failed.value.returncode == retrain.ALIAS_MOVED
    assert registry.resolve("wine").version == 2
    assert registry.retirement("wine", 3) is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Production("wine@1", "wine@1"), 1),
        (Production(None, "wine@2"), 2),  # the plain name meant the latest
        (Production(None, None), None),
    ],
)
def test_production_is_what_it_was(registry: Registry, before: Production, after: int | None) -> None:
    if before.aliased:
        registry.set_alias("wine", 1, "production", "ada")
    assert retrain.production("wine").aliased == before.aliased
    registry.set_alias("wine", 3, "production", "a round")
    retrain.take_back("wine", "wine@3", before, "it answers nonsense")
    assert registry.aliases().get("wine", {}).get("production") == after
    retired = registry.retirement("wine", 3)
    assert retired is not None
    assert retired.retired.note == "it answers nonsense"


def test_what_is_in_production_is_told_without_a_model_too(registry: Registry) -> None:
    assert retrain.production("wine") == Production(None, "wine@3")
    registry.set_alias("wine", 2, "production", "ada")
    assert retrain.production("wine") == Production("wine@2", "wine@2")
    assert retrain.production("vine") == Production(None, None)


@pytest.mark.parametrize(("status", "told"), [(6, 6), (3, 1)])
def test_a_version_that_is_not_good_enough_has_a_status_of_its_own(
    registry: Registry, smoke: Path, tmp_path: Path, status: int, told: int
) -> None:
    round_of = ["sh", "-c", f"exit {status}"]
    ended = retrain.alone(tmp_path / "lock", lambda: retrain.one_round("wine", smoke, round_of))
    assert ended == told
    assert registry.aliases() == {}


def test_a_smoke_file_that_is_not_there_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke, trained = tmp_path / "smoke.csv", tmp_path / "trained"
    monkeypatch.setattr("sys.argv", ["retrain.py", "wine", str(smoke), "--", "touch", str(trained)])
    with pytest.raises(SystemExit) as ended:
        retrain.main()
    assert ended.value.code == ExitCode.USAGE
    assert f"there is no {smoke}" in capsys.readouterr().err
    assert not trained.exists()
