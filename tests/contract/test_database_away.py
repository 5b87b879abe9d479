"""A database that is away, on both kinds: 503 on every route that needs it, and nothing is kept."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from base.database import Database, bounded
from base.database.tables import inputs, jobs
from tests.contract.conftest import Served

# What answers without it.
NEED_NO_DATABASE = {"health.healthz", "health.health", "openapi.spec"}

# They say how things are now; whoever asks them asks again anyway.
PROBES = {"health.readyz", "v2.ready"}


class Switch:
    """Takes the database away, and gives it back."""

    def __init__(self, database: Database, request: pytest.FixtureRequest) -> None:
        self._database = database
        self._admin = None if database.is_sqlite else request.getfixturevalue("postgres_url")
        self.is_off = False

    def off(self) -> None:
        """No connection is left, and none can be made."""
        self._database.dispose()
        self._set(is_off=True)

    def on(self) -> None:
        """As if nothing had been."""
        self._set(is_off=False)

    def _set(self, *, is_off: bool) -> None:
        if self.is_off == is_off:
            return
        self.is_off = is_off
        name = str(make_url(self._database.url).database)
        if self._admin is None:
            self._move(Path(name), is_off=is_off)
            return
        engine = create_engine(self._admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            allow = "false" if is_off else "true"
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}"))
            end = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
            connection.execute(end, {"name": name})
        engine.dispose()

    def _move(self, file: Path, *, is_off: bool) -> None:
        away = file.with_suffix(".away")
        if is_off:
            file.rename(away)
            file.mkdir()  # SQLite would make a new one
        else:
            file.rmdir()
            away.rename(file)


@pytest.fixture
def switch(served: Served, request: pytest.FixtureRequest) -> Iterator[Switch]:
    made = Switch(served.workshop.database, request)
    yield made
    made.on()


def requests_to_all_routes(served: Served, job_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """One well-formed request for each route and method, and the endpoint that it meets."""
    app = served.client.application
    values = {"job_id": job_id, "version": 1, "filename": "rowmill.css"}
    record = served.rows.iloc[0].to_dict()
    body = {"model": "wine", "features": record, "instances": [record]}
    for rule in app.url_map.iter_rules():
        with app.test_request_context():
            address = rule.build({name: values.get(name, "wine") for name in rule.arguments})[1]
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            asked: dict[str, Any] = {"path": address, "method": method}
            if address == "/jobs" and method != "GET":
                asked |= {"query_string": {"model": "wine"}, "data": served.csv()}
            elif method == "POST":
                asked |= {"json": body}
            yield rule.endpoint, asked


def stored(served: Served) -> list[str]:
    root = served.workshop.files.root
    return sorted(
        str(path) for folder in ("inputs", "jobs", "staging") for path in root.glob(f"{folder}/**/*")
    )


def test_every_route_says_so_and_keeps_nothing(served: Served, switch: Switch) -> None:
    job = served.work(served.submit())
    before = stored(served)
    switch.off()
    strange = {}
    for endpoint, asked in requests_to_all_routes(served, job["id"]):
        answer = served.client.open(**asked)
        if answer.status_code == 503:
            assert endpoint in PROBES or answer.headers.get("Retry-After"), endpoint
            if answer.mimetype == "application/problem+json":  # other protocols have forms of their own
                assert answer.json["code"] in ("database_down", "not_ready"), endpoint
        else:
            strange[endpoint] = answer.status_code
        answer.close()
    assert stored(served) == before
    assert all(status < 500 for status in strange.values()), strange
    switch.on()
    assert served.job(job)["status"] == "succeeded"
    assert served.work(served.submit())["status"] == "succeeded"
    print(strange)


def test_a_database_that_goes_during_an_upload_accepts_nothing(served: Served, switch: Switch) -> None:
    class Body(io.BytesIO):
        """The file; with its last byte the database goes."""

        def readinto(self, buffer: Any) -> int:
            count = super().readinto(buffer)
            if self.tell() == len(self.getvalue()):
                switch.off()
            return count

    data = served.csv()
    answer = served.client.post("/jobs?model=wine", input_stream=Body(data))
    assert (answer.status_code, answer.json["code"]) == (503, "database_down")
    switch.on()
    with served.workshop.database.reading() as connection:
        assert connection.execute(select(jobs)).all() == connection.execute(select(inputs)).all() == []
    assert stored(served) == []


def test_a_pool_that_is_used_up_is_no_bug(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def used_up(*_: object) -> None:
        raise PoolTimeout("QueuePool limit of size 5 overflow 20 reached")

    monkeypatch.setattr("jobs.reading.list_jobs", lambda *_, **__: used_up())
    answer = served.client.get("/jobs")
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (
        503,
        "database_down",
        "5",
    )


def test_a_server_that_does_not_answer_is_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded.BoundedConnection, "answer_timeout_seconds", 1.0)
    monkeypatch.setattr("base.database.engine.server_options", lambda _kind: "")  # the client alone
    database = Database(postgres_url)
    started = time.monotonic()
    with pytest.raises(OperationalError, match="did not answer within 1 s"), database.writing() as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - started < 20
    with database.reading() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.dispose()


def test_the_server_ends_statements_and_forgotten_transactions(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.reading() as connection:
        shown = [
            connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]
    assert shown == ["14s", "30s"]
    database.dispose()
