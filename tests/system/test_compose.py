"""docker-compose.yml, read by a Compose implementation. No container is started: no engine runs here."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from base.settings import Settings
from rowmill.stack.programs import make_program

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
PASSWORDS = {
    "POSTGRES_PASSWORD": "one",
    "REDIS_PASSWORD": "two",
    "ROWMILL_FLOWER_PASSWORD": "three",
    "ROWMILL_ADMIN_KEY": "4" * 32,
}
OURS = ("api", "worker", "caretaker", "flower", "upgrade")


def compose(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What Compose makes of the file where the settings are these and no others."""
    dotenv = folder / "settings"
    dotenv.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    return subprocess.run(
        ["docker-compose", "--file", str(ROOT / "docker-compose.yml"), "--env-file", str(dotenv), "config"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = compose(tmp_path_factory.mktemp("compose"), PASSWORDS)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout)["services"])


def test_the_services_are_those_of_the_embedded_stack(services: dict[str, Any]) -> None:
    assert set(services) == {"redis", "postgres", *OURS}


@pytest.mark.parametrize("missing", sorted(PASSWORDS))
def test_a_missing_password_is_refused(missing: str, tmp_path: Path) -> None:
    done = compose(tmp_path, {name: value for name, value in PASSWORDS.items() if name != missing})
    assert done.returncode != 0
    assert "set it in .env" in done.stderr


def test_each_setting_exists(services: dict[str, Any]) -> None:
    known = {f"ROWMILL_{name.upper()}" for name in Settings.model_fields}
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()
    used = set(re.findall(r"ROWMILL_[A-Z_]+", text))
    assert used, "the file configures something"
    assert used <= known
    assert all(
        name in known
        for service in OURS
        for name in services[service]["environment"]
        if name.startswith("ROWMILL_")
    )


def test_all_our_services_share_database_redis_and_folder(services: dict[str, Any]) -> None:
    shared = ("ROWMILL_DATABASE_URL", "ROWMILL_REDIS_URL", "ROWMILL_DATA_DIR")
    values = {tuple(services[name]["environment"][key] for key in shared) for name in OURS}
    assert values == {
        ("postgresql+psycopg://rowmill:one@postgres:5432/rowmill", "redis://:two@redis:6379/0", "/data")
    }
    assert all(services[name]["volumes"] == ["data:/data:rw"] for name in OURS)


@pytest.mark.parametrize("name", ["worker", "caretaker", "flower"])
def test_the_commands_are_those_of_the_embedded_stack(name: str, services: dict[str, Any]) -> None:
    settings = Settings(data_dir=Path("/data"), flower_host="0.0.0.0")
    embedded = make_program(name, settings, {}, api_socket=9).arguments
    command = services[name]["command"]
    command = command[1:] if command[0] == "python" else ["-m", *command]
    assert command == [word for word in embedded[1:] if word not in ("-l", settings.log_level)]


def test_the_api_runs_as_in_the_embedded_stack(services: dict[str, Any]) -> None:
    assert "command" not in services["api"], "the image's own"
    embedded = make_program("api", Settings(data_dir=Path("/data")), {}, api_socket=9).arguments
    found = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    assert ["-m", *json.loads(found[1])] == [word.replace("fd://9", "0.0.0.0:8000") for word in embedded[1:]]


def test_redis_keeps_messages_and_is_closed(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"].split())
    assert "--maxmemory-policy noeviction" in command
    assert "--requirepass two" in command
    assert "ports" not in services["redis"]
    assert "ports" not in services["postgres"]


def test_ports_are_open_on_loopback_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:5555:5555/tcp", "127.0.0.1:8000:8000/tcp"]


def test_flower_is_behind_the_password(services: dict[str, Any]) -> None:
    assert services["flower"]["environment"]["FLOWER_BASIC_AUTH"] == "rowmill:three"


def test_everything_that_stays_is_watched_and_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    for name in ("redis", "postgres", "worker", "caretaker", "flower"):
        assert services[name]["healthcheck"]["test"], name
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text(), "the API's is the image's own"
    for name in ("api", "worker", "caretaker", "flower"):
        assert services[name]["depends_on"] == {
            "redis": {"condition": "service_healthy"},
            "upgrade": {"condition": "service_completed_successfully"},
        }
