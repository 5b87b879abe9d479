"""Links to results open one address, without a key, until they end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
import pytest

from base.access import keys
from base.access.callers import Role
from base.access.errors import AccessRefused
from base.access.links import Link, Links
from base.database import Database
from tests.conftest import Clock
from tests.contract.conftest import Served


def ended(served: Served) -> tuple[str, dict[str, str], str]:
    """The id of alice's job that has a result, her key as headers, and its id."""
    record, text = keys.add(served.workshop.database, "alice", Role.SUBMIT)
    shown = {"X-API-Key": text}
    rows = served.csv(50).replace(b"14.23", b"oops", 1)
    job = served.client.post("/jobs?model=wine", data=rows, headers=shown).json
    served.complete(job)
    return job["id"], shown, record.id


def made(served: Served, job_id: str, headers: dict[str, str], lasts: str = "1h") -> dict[str, Any]:
    answer = served.client.post(f"/jobs/{job_id}/links?for={lasts}", headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


def opened(served: Served, url: str, method: str = "GET", **headers: str) -> Any:
    parts = urlsplit(url)
    address = f"{parts.path}?{parts.query}"
    answer = served.client.open(address, method=method, headers=headers, buffered=True)
    answer.close()
    return answer


def test_a_link_opens_the_result_until_it_ends(guarded: Served, clock: Clock) -> None:
    job_id, alice, _ = ended(guarded)
    links = made(guarded, job_id, alice)["links"]
    assert set(links) == {"result", "result_csv", "result_jsonl", "preview", "errors", "errors_csv"}
    for url in links.values():
        assert url.startswith("http://localhost/jobs/")
        for method in ("GET", "HEAD"):
            answer = opened(guarded, url, method)
            assert answer.status_code == 200
            # a cache between would give it to anybody, long after the link has ended
            assert answer.cache_control.private or answer.cache_control.no_store, url
    assert pq.read_table(io.BytesIO(opened(guarded, links["result"]).data)).num_rows == 50
    part = opened(guarded, links["result"], Range="bytes=-8")
    assert (part.status_code, part.data[-4:]) == (206, b"PAR1")
    clock.advance(3601)
    late = opened(guarded, links["result"])
    assert (late.status_code, late.json["code"]) == (403, "link_expired")


def test_a_link_opens_nothing_else(guarded: Served) -> None:
    job_id, alice, _ = ended(guarded)
    other, _, _ = ended(guarded)
    url = made(guarded, job_id, alice)["links"]["result"]
    query = urlsplit(url).query
    for path in (
        f"/jobs/{other}/result.parquet",
        f"/jobs/{job_id}/result.csv",
        f"/jobs/{job_id}",
        "/jobs",
        "/",
    ):
        refused = opened(guarded, f"{path}?{query}")
        assert (refused.status_code, refused.json["code"]) == (403, "invalid_link"), path
    for method in ("POST", "DELETE", "PUT"):
        assert opened(guarded, f"/jobs/{job_id}?{query}", method).status_code == 401


def test_a_link_that_was_changed_opens_nothing(guarded: Served) -> None:
    job_id, alice, _ = ended(guarded)
    text = parse_qs(urlsplit(made(guarded, job_id, alice)["links"]["result"]).query)["link"][0]
    payload, _, mac = text.partition(".")
    wrong = {
        "payload": f"{payload[:-4]}{'AAAA' if payload[-4:] != 'AAAA' else 'BBBB'}.{mac}",
        "mac": f"{payload}.{mac[:-4]}{'AAAA' if mac[-4:] != 'AAAA' else 'BBBB'}",
        "no mac": f"{payload}.",
        "empty": "",
        "longer": f"{payload}.{mac}.{mac}",
        "strange": "é.%ff",
    }
    for change, link in wrong.items():
        refused = opened(guarded, f"/jobs/{job_id}/result.parquet?link={link}")
        assert (refused.status_code, refused.json["code"]) == (403, "invalid_link"), change


def test_a_link_ends_with_the_key_that_made_it(guarded: Served) -> None:
    job_id, alice, key_id = ended(guarded)
    url = made(guarded, job_id, alice)["links"]["result"]
    assert opened(guarded, url).status_code == 200
    keys.revoke(guarded.workshop.database, key_id)
    assert opened(guarded, url).json["code"] == "invalid_link"


def test_only_what_has_a_result_is_handed_on(guarded: Served) -> None:
    job_id, alice, _ = ended(guarded)
    _, bob = keys.add(guarded.workshop.database, "bob", Role.SUBMIT)
    ask = guarded.client.post
    assert ask(f"/jobs/{job_id}/links", headers={"X-API-Key": bob}).status_code == 404
    for wrong in ("8d", "0", "soon", "", "-1"):
        assert ask(f"/jobs/{job_id}/links?for={wrong}", headers=alice).json["code"] == "bad_option"
    assert ask(f"/jobs/{job_id}/links?until=1h", headers=alice).json["code"] == "unknown_option"
    queued = guarded.client.post("/jobs?model=wine", data=guarded.csv(), headers=alice).json["id"]
    assert ask(f"/jobs/{queued}/links", headers=alice).json["code"] == "not_finished"


def test_the_secret_is_made_once_and_nobody_elses_to_read(database: Database, tmp_path: Path) -> None:
    link = Link("alice", "", int(database._clock()) + 60 if database._clock else 0)
    text = Links(tmp_path).sign("/jobs/1/result", link)
    assert Links(tmp_path).read(database, "/jobs/1/result", text) == link
    secret = tmp_path / "links.key"
    assert (secret.stat().st_mode & 0o777, secret.stat().st_size) == (0o600, 32)
    assert [path.name for path in tmp_path.glob("links.key*")] == ["links.key"]
    secret.unlink()
    with pytest.raises(AccessRefused, match="opens nothing"):
        Links(tmp_path).read(database, "/jobs/1/result", text)
