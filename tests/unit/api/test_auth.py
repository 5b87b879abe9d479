"""The door: how a key is shown, what a role may do, and which hosts and pages are let in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from api.auth import Door
from base.access import keys
from base.access.callers import LOCAL, Role
from base.access.errors import AccessRefused
from base.database import Database
from base.settings import Settings
from tests.unit.api.conftest import Client, MakeApp

ADMIN_KEY = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('door') / 'rowmill.db'}")
    opened.upgrade()
    yield opened
    opened.dispose()


@pytest.fixture
def no_database() -> Database:
    """Nobody may ask this one."""
    return Database("sqlite:////nowhere/at/all.db")


def login(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def request(
    method: str = "GET", path: str = "/jobs", host: str = "localhost", **headers: str
) -> dict[str, Any]:
    environ = EnvironBuilder(path, method=method, headers=[("Host", host), *headers.items()]).get_environ()
    return environ | {"SERVER_NAME": "127.0.0.1"}


def refusal(settings: Settings, environ: dict[str, Any], database: Database) -> str:
    with pytest.raises(AccessRefused) as refused:
        Door(settings).admit(environ, database)
    return refused.value.code


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_on_loopback_nobody_is_asked_for_a_key(method: str, no_database: Database) -> None:
    assert Door(Settings()).admit(request(method), no_database) is LOCAL


def test_what_arrives_at_a_unix_socket_needs_a_key(no_database: Database) -> None:
    # a server has no name of its own there, and tells the one that the client chose
    assert refusal(Settings(), request() | {"REMOTE_ADDR": ""}, no_database) == "key_required"


def test_a_parameter_that_ends_like_a_link_is_none(no_database: Database) -> None:
    for path in ("/jobs?tag=blink=1", "/jobs?name=link="):
        assert Door(Settings()).admit(request(path=path), no_database) is LOCAL


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::", "example.org"])
def test_what_arrives_from_elsewhere_needs_a_key(address: str, no_database: Database) -> None:
    elsewhere = request() | {"SERVER_NAME": address}
    assert refusal(Settings(), elsewhere, no_database) == "key_required"
    behind_a_proxy = elsewhere | {"werkzeug.proxy_fix.orig": {"SERVER_NAME": "127.0.0.1"}}
    assert Door(Settings()).admit(behind_a_proxy, no_database) is LOCAL


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer KEY"},
        {"Authorization": "bearer   KEY"},
        {"X-API-Key": "KEY"},
        {"X-API-Key": "KEY", "Authorization": "Bearer of-a-proxy"},
        login("me", "KEY"),
        login("KEY", ""),
        login("", "KEY"),
    ],
    ids=str,
)
def test_a_key_may_be_shown_in_any_of_these_ways(headers: dict[str, str], database: Database) -> None:
    _, text = keys.add(database, "alice", Role.READ)
    shown = {
        name: login(*_parts(value, text))["Authorization"] if value.startswith("Basic") else value
        for name, value in headers.items()
    }
    shown = {name: value.replace("KEY", text) for name, value in shown.items()}
    caller = Door(Settings(require_keys=True)).admit(request(**shown), database)
    assert (caller.owner, caller.role) == ("alice", Role.READ)


def _parts(value: str, text: str) -> tuple[str, str]:
    user, _, password = base64.b64decode(value[6:]).decode().replace("KEY", text).partition(":")
    return user, password


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "key_required"),
        ({"Authorization": "Bearer "}, "key_required"),
        ({"Authorization": "Digest x"}, "key_required"),
        ({"Authorization": "Bearer é"}, "invalid_key"),
        ({"Authorization": "Basic %%%"}, "invalid_key"),
        ({"Authorization": "Basic /////w=="}, "invalid_key"),
        ({"Authorization": "Basic é"}, "invalid_key"),
        ({"Authorization": "Basic \x80\xff"}, "invalid_key"),
        (login("a", "rm_\0_"), "invalid_key"),
        ({"X-API-Key": "hunter2"}, "invalid_key"),
    ],
    ids=str,
)
def test_what_is_no_key_is_refused(headers: dict[str, str], code: str, database: Database) -> None:
    assert refusal(Settings(require_keys=True), request(**headers), database) == code


@pytest.mark.parametrize(("role", "allowed"), [("read", {"GET", "HEAD"}), ("submit", None), ("admin", None)])
def test_a_role_is_a_set_of_methods(role: str, allowed: set[str] | None, database: Database) -> None:
    _, text = keys.add(database, "alice", Role(role))
    door = Door(Settings(require_keys=True))
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "SPLASH"):
        environ = request(method, **{"X-API-Key": text})
        if allowed is None or method in allowed:
            assert door.admit(environ, database).role == role
        else:
            assert refusal(Settings(require_keys=True), environ, database) == "forbidden"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "rowmill.localhost:1",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.0.2.7",
        "ml.example.org",
        "a.example.net:80",
        "ml.example.org.:8000",
        "lab7",
    ],
)
def test_a_host_that_is_ours(host: str, no_database: Database) -> None:
    settings = Settings(host="lab7", allowed_hosts="ml.example.org, .Example.net")
    assert Door(settings).admit(request(host=host) | {"SERVER_NAME": "127.0.0.1"}, no_database)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example:8000",
        "example.net",
        "127.0.0.1.evil.example",
        "xn--localhost",
        "[evil]",
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/healthz"])
def test_a_host_that_is_not_ours(host: str, path: str, no_database: Database) -> None:
    settings = Settings(allowed_hosts="ml.example.org,.example.net")
    assert refusal(settings, request(host=host, path=path), no_database) == "host_not_allowed"


@pytest.mark.parametrize(
    ("origin", "method", "code"),
    [
        ("http://localhost:8000", "POST", None),
        ("https://app.example.org", "POST", None),
        ("https://evil.example", "GET", None),
        ("https://evil.example", "POST", "origin_not_allowed"),
        ("https://evil.example", "DELETE", "origin_not_allowed"),
        ("http://localhost:9000", "POST", "origin_not_allowed"),
        ("null", "POST", "origin_not_allowed"),
        ("", "PUT", "origin_not_allowed"),
        ("localhost:8000", "POST", "origin_not_allowed"),
        ("http://[::1", "POST", "origin_not_allowed"),
    ],
)
def test_only_some_pages_may_change_things(
    origin: str, method: str, code: str | None, no_database: Database
) -> None:
    settings = Settings(allowed_origins="https://App.example.org/")
    environ = request(method, host="localhost:8000", Origin=origin)
    if code:
        assert refusal(settings, environ, no_database) == code
    else:
        assert Door(settings).admit(environ, no_database) is LOCAL


def test_refusals_as_a_client_sees_them(make_app: MakeApp, tmp_path: Path) -> None:
    client: Client = make_app(tmp_path, require_keys=True, admin_key=ADMIN_KEY).test_client()
    client.application.extensions["workshop"].database.upgrade()
    missing = client.get("/models")
    assert (missing.status_code, missing.json["code"]) == (401, "key_required")
    assert missing.mimetype == "application/problem+json"
    assert [challenge.split()[0] for challenge in missing.headers.getlist("WWW-Authenticate")] == [
        "Bearer",
        "Basic",
    ]
    wrong = client.get("/models", headers={"X-API-Key": ADMIN_KEY[::-1]})
    assert (wrong.status_code, wrong.json["code"]) == (401, "invalid_key")
    assert ADMIN_KEY[::-1] not in wrong.text
    assert client.get("/models", headers={"X-API-Key": ADMIN_KEY}).json == {"models": []}
    assert client.get("/healthz").status_code == 200
    assert client.options("/jobs").status_code == 200
    elsewhere = client.get("/models", headers={"Host": "evil.example"})
    assert (elsewhere.status_code, elsewhere.json["code"]) == (421, "host_not_allowed")
    page = client.get("/", auth=("me", ADMIN_KEY), headers={"Accept": "text/html"})
    assert page.mimetype == "text/html"
