"""Command lines and environment of the stack's processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.settings import Settings
from rowmill.stack.programs import PROCESSES, child_environment, make_program
from rowmill.stack.record import MARK


def test_the_settings_that_a_child_reads_are_those_of_its_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWMILL_DEFAULT_MODEL", "other")
    settings = Settings(data_dir=tmp_path, workers=3, default_model="", flower_password="a secret")
    environment = child_environment(settings, "stack")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == settings
    assert environment[MARK] == "stack"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["FLOWER_BASIC_AUTH"] == "rowmill:a secret"


def test_a_sqlite_file_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_dir=tmp_path, database_url="sqlite:///mine.db")
    assert child_environment(settings, "")["ROWMILL_DATABASE_URL"] == f"sqlite:///{tmp_path}/mine.db"
    postgres = "postgresql+psycopg://me:secret@db/rowmill"
    settings = Settings(data_dir=tmp_path, database_url=postgres)
    assert child_environment(settings, "")["ROWMILL_DATABASE_URL"] == postgres


@pytest.mark.parametrize("name", PROCESSES)
def test_no_secret_is_on_a_command_line(name: str) -> None:
    settings = Settings(
        data_dir=Path("/data"),
        flower_password="secret-1",
        database_url="postgresql+psycopg://me:secret-2@db/rowmill",
    )
    program = make_program(name, settings, child_environment(settings, "stack"), api_socket=9)
    assert "secret" not in " ".join(program.arguments)
    assert program.log == Path(f"/data/logs/{name}.log")
    assert program.inherit == ((9,) if name == "api" else ())


def test_flower_is_read_only_and_where_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, flower_port=5001)
    arguments = make_program("flower", settings, {}, api_socket=9).arguments
    assert {"--read_only=True", "--address=127.0.0.1", "--port=5001"} <= set(arguments)
