"""One key makes one job, on both databases; a body that is not what was announced makes none."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from api import idempotency
from jobs.caretaker import Caretaker
from jobs.lifecycle.keys import KeyLease
from tests.builders import LEASE_SECONDS, OWNER
from tests.conftest import Clock
from tests.contract.conftest import Served

KEY = {"Idempotency-Key": '"monday"'}


def post(served: Served, body: bytes | None = None, headers: dict[str, str] = KEY, **options: Any) -> Any:
    query = {"model": "wine", **options}
    return served.client.post("/jobs", query_string=query, data=body or served.csv(), headers=headers)


def kept(served: Served) -> list[str]:
    """Every stored file of inputs, and of uploads on their way."""
    root = served.workshop.files.root
    return [path.name for name in ("inputs", "staging") for path in (root / name).glob("*")]


def test_the_same_request_gets_the_same_job(served: Served) -> None:
    first = post(served)
    assert (first.status_code, "Idempotent-Replayed" in first.headers) == (202, False)
    for key in ('"monday"', "monday"):
        again = post(served, headers={"Idempotency-Key": key})
        assert (again.status_code, again.json["id"]) == (202, first.json["id"])
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
    form = {"file": (io.BytesIO(served.csv()), "wine.csv"), "model": "wine"}
    as_form = served.client.post("/jobs", data=form, headers=KEY)
    assert as_form.json["id"] == first.json["id"]
    assert len(kept(served)) == 1
    assert post(served, headers={}).json["id"] != first.json["id"]


def test_the_same_key_gets_its_job_though_the_model_moved_on(served: Served) -> None:
    first = post(served)
    job = served.work(first.json)
    again = post(served)
    assert (again.json["id"], again.json["status"]) == (job["id"], "succeeded")
    assert "Retry-After" not in again.headers


@pytest.mark.parametrize(
    "changed", [{"keep": "id"}, {"name": "other"}, {"deadline": "2h"}, {"max_row_errors": "3"}], ids=str
)
def test_another_option_under_the_same_key_is_refused(served: Served, changed: dict[str, Any]) -> None:
    first = post(served)
    refused = post(served, **changed)
    assert (refused.status_code, refused.json["code"]) == (422, "idempotency_key_reused")
    assert first.json["id"] in refused.json["detail"]
    assert len(kept(served)) == 1


def test_another_file_under_the_same_key_is_refused(served: Served) -> None:
    post(served)
    other = served.csv().replace(b"14.23", b"14.32")
    for body in (other, served.csv(50)):  # of the same length, and not
        refused = post(served, body)
        assert (refused.status_code, refused.json["code"]) == (422, "idempotency_key_reused")
    assert len(kept(served)) == 1


def test_a_key_is_free_again_once_its_job_is_deleted(served: Served) -> None:
    first = post(served)
    served.client.delete(first.headers["Location"])
    assert post(served, served.csv(50)).status_code == 202


def test_a_refused_request_does_not_use_its_key_up(served: Served) -> None:
    assert post(served, b"a,b\n1,2\n").status_code == 422
    assert post(served, dry_run="1").status_code == 200
    assert "Idempotent-Replayed" not in post(served).headers


def test_a_key_that_is_being_received_is_409_until_its_lease_ends(served: Served, clock: Clock) -> None:
    KeyLease(served.workshop.database, OWNER, "monday", LEASE_SECONDS).take()  # and its process was killed
    refused = post(served)
    assert (refused.status_code, refused.json["code"]) == (409, "idempotency_key_in_use")
    assert int(refused.headers["Retry-After"]) > 0
    assert post(served, headers={"Idempotency-Key": "tuesday"}).status_code == 202
    clock.advance(LEASE_SECONDS + 1)
    assert post(served).status_code == 202


class Slow:
    """A body that takes its time: at each block, ``meanwhile`` happens."""

    def __init__(self, body: bytes, meanwhile: Callable[[], None]) -> None:
        self._body = io.BytesIO(body)
        self._meanwhile = meanwhile

    def read(self, size: int) -> bytes:
        self._meanwhile()
        return self._body.read(min(size, 1000))


@pytest.fixture
def no_body_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "SMALL_BODY_BYTES", 0)


def slow_post(served: Served, meanwhile: Callable[[], None]) -> Any:
    settings = served.workshop.settings.model_copy(update={"heartbeat_seconds": 1e-9})
    served.client.application.extensions["workshop"] = replace(served.workshop, settings=settings)
    body = served.csv()
    return served.client.post(
        "/jobs?model=wine",
        headers=KEY,
        environ_overrides={"wsgi.input": Slow(body, meanwhile), "CONTENT_LENGTH": str(len(body))},
    )


@pytest.mark.usefixtures("no_body_is_small")
def test_a_long_upload_keeps_its_key(served: Served, clock: Clock) -> None:
    seen = []

    def meanwhile() -> None:
        clock.advance(LEASE_SECONDS / 3)
        seen.append(post(served).status_code)

    assert slow_post(served, meanwhile).status_code == 202
    assert len(seen) > 5
    assert set(seen) == {409}
    assert post(served).headers["Idempotent-Replayed"] == "true"


@pytest.mark.usefixtures("no_body_is_small")
def test_an_upload_that_stood_still_yields_to_another(served: Served, clock: Clock) -> None:
    answers: list[Any] = []

    def meanwhile() -> None:
        if not answers:
            clock.advance(LEASE_SECONDS + 1)
            answers.append(None)
            answers[0] = post(served)

    late = slow_post(served, meanwhile)
    assert answers[0].status_code == 202
    assert (late.status_code, late.json["code"]) == (409, "idempotency_key_in_use")
    assert len(kept(served)) == 1


def test_two_small_requests_at_once_make_one_job(served: Served) -> None:
    answers: list[Any] = []

    def meanwhile() -> None:
        if not answers:
            answers.append(None)
            answers[0] = post(served)

    late = slow_post(served, meanwhile)
    assert (late.status_code, late.json["id"]) == (202, answers[0].json["id"])
    assert late.headers["Idempotent-Replayed"] == "true"
    assert len(kept(served)) == 1


def test_keys_of_dead_uploads_are_forgotten(served: Served, clock: Clock) -> None:
    lease = KeyLease(served.workshop.database, OWNER, "monday", LEASE_SECONDS)
    lease.take()
    clock.advance(3 * 86400)
    Caretaker(served.workshop).tick()
    with pytest.raises(Exception, match="still being received"):
        lease.renew()  # the row is gone


def digest(body: bytes, algorithm: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(algorithm, body).digest()).decode()


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("form", [False, True])
def test_a_body_that_is_not_what_was_announced_is_refused(served: Served, field: str, form: bool) -> None:
    body, kind = served.csv(), "text/csv"
    if form:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        body, kind = head + body + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"

    def send(value: str) -> Any:
        return served.client.post(
            "/jobs", query_string={"model": "wine"}, data=body, content_type=kind, headers={field: value}
        )

    wrong = send(f"sha-256=:{digest(b'other')}:")
    assert (wrong.status_code, wrong.json["code"]) == (400, "content_digest_mismatch")
    assert digest(body) in wrong.json["detail"]
    assert kept(served) == []
    assert send(f"sha-512=:{digest(b'other', 'sha512')}:").status_code == 400
    right = send(f"sha-512=:{digest(body, 'sha512')}:, sha-256=:{digest(body)}:;note=1")
    assert right.status_code == 202
    assert send("md5=:AAAA:, unixsum=:AA==:").status_code == 202  # not known here, so ignored


@pytest.mark.parametrize(
    "value", ["sha-256=abc", "sha-256=:abc:", "sha-256=:AAAA:", "sha-256", ":AA==:", "x,,"]
)
def test_what_is_no_digest_is_refused(served: Served, value: str) -> None:
    refused = post(served, headers={"Content-Digest": value})
    assert (refused.status_code, refused.json["code"]) == (400, "bad_digest")


def test_a_known_key_is_refused_by_its_announced_digest_alone(served: Served) -> None:
    post(served)
    refused = post(served, headers={**KEY, "Content-Digest": f"sha-256=:{digest(b'other')}:"})
    assert refused.json["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("wait=0", None), ("wait=1", "wait=1"), ('respond-async, WAIT = "1";x', "wait=1"), ("wait=soon", None)],
)
def test_a_client_may_prefer_to_wait(served: Served, prefer: str, applied: str | None) -> None:
    answer = post(served, headers={"Prefer": prefer})
    assert (answer.status_code, answer.json["status"]) == (202, "queued")
    assert answer.headers.get("Preference-Applied") == applied
    assert answer.headers["Retry-After"] == "1"
