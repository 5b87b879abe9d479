from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from base.settings import Settings, sources


def test_what_is_left_open_lies_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/rowmill.db"
    assert settings.redis_url == f"redis+socket://{tmp_path}/run/redis.sock"


def test_the_environment_counts_more_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("ROWMILL_PORT=8100\nROWMILL_WORKERS=3\nOTHER=1\n")
    monkeypatch.setenv("ROWMILL_PORT", "8200")
    settings = Settings()
    assert (settings.port, settings.workers) == (8200, 3)
    assert (sources()["port"], sources()["workers"], sources()["host"]) == ("environment", ".env", "default")


def test_a_misspelt_line_of_the_file_is_told_with_the_right_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in ("ROWMILL_WORKRES=3", "rowmill_workres=", "export ROWMILL_WORKRES=3"):
        (tmp_path / ".env").write_text(f"OTHER=1\n{line}\n")
        with pytest.raises(ValidationError, match="no setting ROWMILL_WORKRES; did you mean ROWMILL_WORKERS"):
            Settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ROWMILL_WORKRES", "3", "ROWMILL_WORKERS"),
        ("ROWMILL_PORT", "many", "port"),
        ("ROWMILL_WORKERS", "0", "workers"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=said):
        Settings()
