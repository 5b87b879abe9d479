"""`rowmill keys`, and what a stack does that asks for keys and has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from base.access.keyring import Keyring
from base.database import Database
from base.settings import Settings
from rowmill.cli import app
from rowmill.stack import StackProblem
from rowmill.stack.doctor import examine
from rowmill.stack.keys import require_key
from rowmill.stack.upgrade import upgrade

ADMIN_KEY = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def rowmill(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def test_a_key_is_shown_once_and_works_until_it_is_revoked() -> None:
    made = rowmill("add", "alice", "--role", "read", "--name", "laptop", "--expires", "90d")
    text, key_id = made.stdout.strip(), made.stdout.split("_")[1]
    database = Database(Settings().database_url)
    caller = Keyring("").find(database, text)
    assert caller
    assert (caller.owner, caller.role, caller.key_id) == ("alice", "read", key_id)
    listed = rowmill("ls")
    assert f"{key_id}  alice" in listed.output
    assert text.rpartition("_")[2] not in listed.output
    (shown,) = map(json.loads, rowmill("ls", "--json").stdout.splitlines())
    assert shown.items() >= {"id": key_id, "name": "laptop", "revoked_at": None}.items()
    assert "key" not in shown
    assert "sha256" not in shown
    assert rowmill("revoke", key_id).exit_code == 0
    assert Keyring("").find(database, text) is None
    database.dispose()
    assert "revoked 2" in rowmill("ls").stdout


def test_json_has_the_key_beside_what_it_is() -> None:
    made = json.loads(rowmill("add", "bob", "--json").stdout)
    assert made["key"].startswith(f"rm_{made['id']}_")
    assert (made["owner"], made["role"], made["expires_at"]) == ("bob", "submit", None)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add", "a b"], 1, "cannot be an owner"),
        (["add", "alice", "--role", "king"], 2, "none of read, submit, admin"),
        (["add", "alice", "--name", "x" * 129], 1, "129 characters"),
        (["revoke", "nope"], 1, "rowmill keys ls"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], code: int, said: str) -> None:
    failed = rowmill(*arguments)
    assert failed.exit_code == code
    assert said in " ".join(failed.output.replace("│", "").split())


def test_a_stack_that_asks_for_keys_needs_one() -> None:
    settings = Settings(host="0.0.0.0")
    upgrade(settings.database_url)
    with pytest.raises(StackProblem, match="rowmill keys add admin --role admin"):
        require_key(settings)
    (finding,) = examine(settings, ["keys"])
    assert not finding.ok
    require_key(Settings())
    require_key(Settings(host="0.0.0.0", admin_key=ADMIN_KEY))
    ended = json.loads(rowmill("add", "alice", "--json").stdout)
    require_key(settings)
    assert examine(settings, ["keys"])[0].detail == "asked for; 1 let somebody in"
    rowmill("revoke", ended["id"])
    with pytest.raises(StackProblem):
        require_key(settings)
    assert examine(Settings(), ["keys"])[0].detail.startswith("not asked for on 127.0.0.1")


def test_the_admin_key_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(f"{ADMIN_KEY}\n")
    assert Settings(admin_key_file="key").admin_key.get_secret_value() == ADMIN_KEY
    (tmp_path / "key").write_text("\n")
    for wrong in ("key", "missing"):
        with pytest.raises(ValidationError):
            Settings(admin_key_file=wrong)
    monkeypatch.setenv("ROWMILL_ADMIN_KEY", "hunter2")
    refused = rowmill("ls")
    assert refused.exit_code == 2
    assert "ROWMILL_ADMIN_KEY is ***" in refused.output
    assert "hunter2" not in refused.output


def test_doctor_says_that_a_proxy_lets_others_in_without_a_key() -> None:
    (finding,) = examine(Settings(trusted_proxies=1), ["keys"])
    assert not finding.ok
    assert "ROWMILL_REQUIRE_KEYS=1" in finding.detail
    (finding,) = examine(Settings(), ["keys"])
    assert finding.ok
