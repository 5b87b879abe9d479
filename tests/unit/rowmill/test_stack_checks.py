"""What stops a stack from starting, and the line that says so."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from base.settings import Settings
from base.urls import without_password
from rowmill.stack.checks import check_redis, listen, prepare_folder
from rowmill.stack.doctor import examine
from rowmill.stack.problem import StackProblem
from rowmill.stack.programs import require_flower_password
from rowmill.stack.redis_server import find_redis_server, redis_arguments
from rowmill.stack.upgrade import upgrade
from tests.waiting import wait_until


@contextmanager
def redis_with(folder: Path, *options: str) -> Iterator[str]:
    path = folder / "test.sock"
    command = [str(find_redis_server()), "--port", "0", "--unixsocket", str(path), "--save", "", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder) as server:
        wait_until(lambda: accepts(path), "Redis listens")
        try:
            yield f"redis+socket://{path}"
        finally:
            server.terminate()


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_a_folder_is_made_and_proved_writable(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "new" / "data")
    assert sorted(path.name for path in (tmp_path / "new" / "data").iterdir()) == ["logs", "run"]
    assert list((tmp_path / "new" / "data" / "run").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(
        StackProblem, match=r"^The data folder /proc/rowmill cannot be written .*--data-dir\.$"
    ):
        prepare_folder(Path("/proc/rowmill"))


def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f"probe-{os.getpid()}").symlink_to("/dev/full")  # a device without any room
    with pytest.raises(
        StackProblem, match=r"^The disk that holds the data folder .* is full\. Free some space"
    ):
        prepare_folder(tmp_path)


def test_a_disk_that_is_nearly_full_is_a_finding(tmp_path: Path) -> None:
    (finding,) = examine(Settings(data_dir=tmp_path, min_free_bytes=10**18), ["folder"])
    assert not finding.ok
    assert finding.detail.startswith("disk_low: ")
    assert str(tmp_path) in finding.detail


def test_a_free_port_is_chosen_for_0() -> None:
    with listen("127.0.0.1", 0, "--port") as first, listen("127.0.0.1", 0, "--port") as second:
        assert first.getsockname()[1] != second.getsockname()[1]


def test_a_port_in_use_is_named_with_the_option_that_changes_it() -> None:
    with listen("127.0.0.1", 0, "--port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StackProblem, match=rf"^Port {port} on 127\.0\.0\.1 is in use .* with --flower-port\.$"
        ):
            listen("127.0.0.1", port, "--flower-port")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StackProblem, match=r"^Port 0 on 192\.0\.2\.1 cannot be listened on"):
        listen("192.0.2.1", 0, "--port")


def test_flower_needs_a_password_off_loopback(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match="ROWMILL_FLOWER_PASSWORD"):
        require_flower_password(Settings(data_dir=tmp_path, flower_host="0.0.0.0"))
    require_flower_password(Settings(data_dir=tmp_path, flower_host="0.0.0.0", flower_password="a secret"))
    require_flower_password(Settings(data_dir=tmp_path))


def test_a_redis_that_evicts_is_refused(tmp_path: Path) -> None:
    message = r"has maxmemory-policy allkeys-lru .* CONFIG SET maxmemory-policy noeviction$"
    with (
        redis_with(tmp_path, "--maxmemory-policy", "allkeys-lru") as url,
        pytest.raises(StackProblem, match=message),
    ):
        check_redis(url)


def test_a_redis_that_keeps_messages_is_accepted(tmp_path: Path) -> None:
    with redis_with(tmp_path, "--maxmemory-policy", "noeviction") as url:
        check_redis(url)


def test_a_redis_that_does_not_let_us_ask_is_accepted(tmp_path: Path) -> None:
    with redis_with(tmp_path, "--rename-command", "CONFIG", "") as url:
        check_redis(url)


def test_a_redis_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StackProblem, match=r"^The Redis at redis://:\*\*\*@127\.0\.0\.1:1/0 cannot be used"):
        check_redis("redis://:secret@127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:pa@ss@db:5432/rowmill", "postgresql+psycopg://me:***@db:5432/rowmill"),
        ("redis://:secret@redis/0", "redis://:***@redis/0"),
        ("postgresql://me@db/rowmill", "postgresql://me@db/rowmill"),
        ("sqlite:////data/rowmill.db", "sqlite:////data/rowmill.db"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match=r"too long for a Unix socket .* shorter --data-dir"):
        redis_arguments(tmp_path / ("x" * 100))


def test_a_missing_redis_server_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(
        StackProblem, match=r"^No redis-server found. Install one .* or set ROWMILL_REDIS_URL"
    ):
        find_redis_server()


def test_a_redis_server_on_path_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == program


@pytest.mark.parametrize("url", ["nonsense", "mysql://db/rowmill", "sqlite:////proc/rowmill/rowmill.db"])
def test_a_database_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(StackProblem, match=rf"^The database at {url} cannot be used .* ROWMILL_DATABASE_URL"):
        upgrade(url)
