"""Rate limits: who is counted together, how long Retry-After says, and what a lost Redis changes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.limits import BREAKER_SECONDS, TIMEOUT_SECONDS, Counter, Scoped, TooOften, parse_limits
from base.access import keys
from base.access.callers import Role
from base.access.links import Link
from rowmill.stack.redis_server import embedded_url, redis_arguments, socket_path
from tests.unit.api.conftest import MakeApp
from tests.waiting import wait_until


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real redis-server in ``tmp_path`` that a test may freeze or kill."""
    (tmp_path / "run").mkdir()
    server = subprocess.Popen(redis_arguments(tmp_path), stdout=subprocess.DEVNULL)
    wait_until(socket_path(tmp_path).exists, "redis-server listens")
    yield server
    server.kill()
    server.wait()


def statuses(client: Any, *addresses: str, **more: Any) -> list[int]:
    return [client.get(address, **more).status_code for address in addresses]


def scoped(text: str) -> list[Scoped]:
    return [(limit, "all") for limit in parse_limits(text)]


def test_who_is_over_the_limit_waits_and_may_come_back(
    stocked: Path, make_app: MakeApp, redis_url: str
) -> None:
    client: Any = make_app(stocked, redis_url=redis_url, rate_limit="3/second").test_client()
    answers = [client.get("/models") for _ in range(4)]
    while answers[-1].status_code != 429:  # a slow machine: the first ones count no more
        answers.append(client.get("/models"))
    refused = answers[-1]
    assert refused.json["code"] == "rate_limited"
    assert refused.mimetype == "application/problem+json"
    assert refused.headers["Retry-After"] == "1"
    wait_until(lambda: client.get("/models").status_code == 200, "the limit is over")


def test_retry_after_is_when_the_oldest_request_no_longer_counts(redis_url: str) -> None:
    counter, limits = Counter(redis_url), scoped("2/minute")
    before = time.time()
    for _ in range(2):
        counter.count(limits, "somebody")
    with pytest.raises(TooOften) as refused:
        counter.count(limits, "somebody")
    assert 60 - math.ceil(time.time() - before) <= refused.value.wait_seconds <= 60
    counter.count(limits, "somebody else")
    counter.count([(limit, "another scope") for limit, _ in limits], "somebody")


def test_processes_count_together(redis_url: str) -> None:
    limits = scoped("2/minute")
    for _ in range(2):
        Counter(redis_url).count(limits, "somebody")
    with pytest.raises(TooOften):
        Counter(redis_url).count(limits, "somebody")


def test_several_limits_hold_at_once(redis_url: str) -> None:
    counter, limits = Counter(redis_url), scoped("3/hour;100/second")
    for _ in range(3):
        counter.count(limits, "somebody")
    with pytest.raises(TooOften, match="3 per 1 hour"):
        counter.count(limits, "somebody")


def test_predictions_and_submissions_have_limits_of_their_own(
    stocked: Path, make_app: MakeApp, redis_url: str
) -> None:
    app = make_app(stocked, redis_url=redis_url, rate_limit_predict="2/hour", rate_limit_submit="1/hour")
    client: Any = app.test_client()
    body = {"model": "diabetes", "features": [0.1] * 10}
    sent = [client.post("/predict", json=body), client.post("/invocations?model=diabetes", json={})]
    assert [answer.status_code for answer in sent] == [200, 400]
    refused = client.post("/v2/models/diabetes/infer", json={})
    assert refused.status_code == 429
    assert list(refused.json) == ["error"]
    assert int(refused.headers["Retry-After"]) > 3000
    assert client.post("/invocations", json={}).json["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert client.post("/jobs", data=b"").status_code == 400
    assert client.post("/jobs/x/retry").status_code == 429
    assert statuses(client, "/models", "/jobs") == [200, 200]


def test_probes_and_style_sheets_are_free(stocked: Path, make_app: MakeApp, redis_url: str) -> None:
    client: Any = make_app(stocked, redis_url=redis_url, rate_limit="1/hour").test_client()
    assert statuses(client, "/models", "/models", "/nowhere") == [200, 429, 429]
    assert statuses(client, "/healthz", "/readyz", "/ping", "/v2/health/live") == [200] * 4


@pytest.mark.parametrize(
    ("addresses", "is_same"),
    [
        (("10.0.0.1", "10.0.0.2"), False),
        (("10.0.0.1", "::ffff:10.0.0.1"), True),
        (("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), True),
        (("2001:db8:1:2::1", "2001:db8:1:3::1"), False),
        (("fe80::1%eth0", "fe80::2%eth0"), True),
        (("10.0.0.1:51234", "10.0.0.1:51235"), True),
        (("10.0.0.1:51234", "10.0.0.1"), True),
        (("10.0.0.1:443", "10.0.0.2:443"), False),
        (("[2001:db8:1:2::1]:443", "2001:db8:1:2::9"), True),
        (("[2001:db8:1:2::1]:443", "[2001:db8:1:3::1]:443"), False),
        (("[2001:db8:1:2::1]", "[::ffff:10.0.0.1]:80"), False),
        (("[::ffff:10.0.0.1]:80", "10.0.0.1"), True),
        (("unknown", "_hidden:1234"), True),
        (("300.1.1.1:1", "[]:1"), True),
    ],
)
def test_an_address_is_one_client(
    stocked: Path, make_app: MakeApp, redis_url: str, addresses: tuple[str, str], is_same: bool
) -> None:
    client: Any = make_app(stocked, redis_url=redis_url, rate_limit="1/hour").test_client()
    for address, status in zip(addresses, (200, 429 if is_same else 200), strict=True):
        answer = client.get("/models", environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == status


def test_who_has_a_link_does_not_use_up_what_its_maker_may_send(
    tmp_path: Path, make_app: MakeApp, redis_url: str
) -> None:
    app = make_app(tmp_path, redis_url=redis_url, rate_limit="2/hour", require_keys=True)
    database = app.extensions["workshop"].database
    database.upgrade()
    record, text = keys.add(database, "alice", Role.SUBMIT)
    signed = app.extensions["door"].links.sign("/jobs/x/result", Link("alice", record.id, 1 << 40))
    client: Any = app.test_client()
    url = f"/jobs/x/result?link={signed}"
    assert statuses(client, url, url, url) == [404, 404, 429]
    assert statuses(client, url, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}) == [404]
    assert statuses(client, *["/jobs"] * 3, headers={"X-API-Key": text}) == [200, 200, 429]


def test_what_the_door_refuses_counts_for_its_address(
    tmp_path: Path, make_app: MakeApp, redis_url: str
) -> None:
    app = make_app(tmp_path, redis_url=redis_url, rate_limit="2/hour", require_keys=True)
    database = app.extensions["workshop"].database
    database.upgrade()
    client: Any = app.test_client()
    for number, status in enumerate([401, 401, 429]):
        answer = client.get("/jobs", headers={"X-API-Key": f"wrong {number}"})
        assert answer.status_code == status
    assert int(answer.headers["Retry-After"]) > 3000
    assert statuses(client, "/nowhere", "/healthz") == [429, 200]
    assert statuses(client, "/jobs", environ_overrides={"REMOTE_ADDR": "10.0.0.9"}) == [401]
    # nobody is locked out by what others send from the same address
    reader = {"X-API-Key": keys.add(database, "alice", Role.READ)[1]}
    assert statuses(client, "/jobs", "/jobs?owner=bob", "/jobs", headers=reader) == [200, 403, 429]


def test_limits_hold_in_the_process_while_redis_is_gone(stocked: Path, make_app: MakeApp) -> None:
    nowhere = "redis+socket:///nowhere/redis.sock"
    client: Any = make_app(stocked, redis_url=nowhere, rate_limit="2/hour").test_client()
    assert statuses(client, "/models", "/models", "/models") == [200, 200, 429]


def test_a_frozen_redis_is_asked_once_and_not_by_everybody(
    redis_process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    counter, limits = Counter(embedded_url(tmp_path)), scoped("100000/hour")
    counter.count(limits, "somebody")
    os.kill(redis_process.pid, signal.SIGSTOP)
    started = time.monotonic()
    threads = [
        threading.Thread(target=counter.count, args=(limits, f"client {number}")) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(500):
        counter.count(limits, "somebody")
    # each look at Redis costs its time-out: a second one by each request would be 50 s
    assert time.monotonic() - started < 500 * TIMEOUT_SECONDS / 5
    os.kill(redis_process.pid, signal.SIGCONT)


def test_redis_counts_again_when_it_is_back(
    redis_process: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, limits = Counter(embedded_url(tmp_path)), scoped("3/hour")
    for _ in range(3):
        counter.count(limits, "somebody")
    os.kill(redis_process.pid, signal.SIGSTOP)
    counter.count(limits, "somebody")  # by this process alone
    os.kill(redis_process.pid, signal.SIGCONT)
    counter.count(limits, "somebody")  # the breaker is still open
    later = time.monotonic() + BREAKER_SECONDS
    monkeypatch.setattr("api.limits.time.monotonic", lambda: later)
    with pytest.raises(TooOften):
        counter.count(limits, "somebody")


def test_without_limits_redis_is_not_asked(stocked: Path, make_app: MakeApp) -> None:
    app = make_app(stocked)
    named = {getattr(hook, "__module__", "") for hook in app.before_request_funcs[None]}
    assert "api.auth" in named
    assert "api.limits" not in named


def test_a_request_that_one_limit_refuses_uses_up_no_other(redis_url: str) -> None:
    counter, limits = Counter(redis_url), scoped("1/minute;3/hour")
    counter.count(limits, "somebody")
    for _ in range(5):
        with pytest.raises(TooOften, match="1 per 1 minute") as refused:
            counter.count(limits, "somebody")
        assert refused.value.wait_seconds <= 60
    counter.count(scoped("2/hour"), "somebody else")


def test_the_longest_wait_is_told(redis_url: str) -> None:
    counter, limits = Counter(redis_url), scoped("1/minute;1/hour")
    counter.count(limits, "somebody")
    with pytest.raises(TooOften, match="1 per 1 hour") as refused:
        counter.count(limits, "somebody")
    assert refused.value.wait_seconds > 60
