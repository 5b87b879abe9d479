"""API keys on both databases: who is let in, for how long, and what is kept of a key."""

from __future__ import annotations

import pytest
from sqlalchemy import event, select

from base.access import keys
from base.access.callers import Caller, Role
from base.access.errors import AccessRefused
from base.access.keyring import ADMIN, MEMORY_SECONDS, RENEW_SECONDS, Keyring
from base.database import Database
from base.database.tables import api_keys
from tests.conftest import Clock
from tests.waiting import wait_until

ADMIN_KEY = "0123456789abcdef" * 2


@pytest.fixture
def keyring(clock: Clock) -> Keyring:
    return Keyring(ADMIN_KEY, clock)


def statements(database: Database, keyring: Keyring, text: str) -> list[str]:
    """The kinds of statement that finding a key takes."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement.split(maxsplit=1)[0])

    event.listen(database._engine, "before_cursor_execute", note)
    keyring.find(database, text)
    event.remove(database._engine, "before_cursor_execute", note)
    return [word for word in seen if word not in ("BEGIN", "PRAGMA")]


def test_a_key_lets_its_owner_in_and_is_not_stored(database: Database, keyring: Keyring) -> None:
    record, text = keys.add(database, "alice", Role.READ, name="laptop")
    assert keyring.find(database, text) == Caller("alice", Role.READ, record.id)
    with database.reading() as connection:
        (row,) = connection.execute(select(api_keys)).all()
    secret = text.rpartition("_")[2]
    assert len(secret) == 52
    assert not any(secret in str(value) for value in row)
    assert text != keys.add(database, "alice", Role.READ)[1]


def test_the_key_of_the_setting_is_an_admin(database: Database, keyring: Keyring) -> None:
    caller = keyring.find(database, ADMIN_KEY)
    assert caller
    assert caller.role is Role.ADMIN
    assert Keyring("").find(database, "") is None


def test_the_key_of_the_setting_may_look_like_a_token(database: Database, clock: Clock) -> None:
    key = "0123456789.abcdef.0123456789abcdef"
    keyring = Keyring(key, clock, find_token=lambda _text: None)
    assert keyring.find(database, key) == ADMIN
    assert keyring.find(database, key[::-1]) is None


@pytest.mark.parametrize("change", ["secret", "id", "prefix", "case", "nothing like a key", "nul", "no text"])
def test_what_is_no_key_lets_nobody_in(database: Database, keyring: Keyring, change: str) -> None:
    record, text = keys.add(database, "alice", Role.ADMIN)
    wrong = {
        "secret": text[:-1] + ("b" if text[-1] == "a" else "a"),
        "id": text.replace(record.id, "0" * 12),
        "prefix": text.replace("rm_", "rn_"),
        "case": text.upper(),
        "nul": f"rm_{record.id}\0_x",
        "no text": "",
    }
    assert keyring.find(database, wrong.get(change, "hunter2 é")) is None


def test_a_revoked_key_ends_within_some_seconds(database: Database, keyring: Keyring, clock: Clock) -> None:
    record, text = keys.add(database, "alice", Role.READ)
    assert keyring.find(database, text)
    keys.revoke(database, record.id)
    clock.advance(MEMORY_SECONDS + 0.1)
    assert keyring.find(database, text) is None
    revoked_at = keys.revoke(database, record.id).revoked_at
    clock.advance(100)
    assert keys.revoke(database, record.id).revoked_at == revoked_at
    with pytest.raises(AccessRefused, match="no key 'other'"):
        keys.revoke(database, "other")


def test_a_key_in_use_is_looked_up_while_nobody_waits(
    database: Database, keyring: Keyring, clock: Clock
) -> None:
    record, text = keys.add(database, "alice", Role.READ)
    assert keyring.find(database, text)
    keys.revoke(database, record.id)
    clock.advance(RENEW_SECONDS)
    assert keyring.remembered(text)
    wait_until(lambda: keyring.remembered(text) is None, "it is found to be revoked")


def test_a_key_ends_when_its_time_is_over(database: Database, keyring: Keyring, clock: Clock) -> None:
    _, text = keys.add(database, "alice", Role.READ, ttl_seconds=60)
    keys.add(database, "bob", Role.READ)
    assert keyring.find(database, text)
    assert keys.count_live(database) == 2
    clock.advance(61)
    assert keyring.find(database, text) is None
    assert keys.count_live(database) == 1


def test_unknown_revoked_and_expired_keys_take_the_same_work(database: Database, clock: Clock) -> None:
    revoked, text = keys.add(database, "alice", Role.READ)
    keys.revoke(database, revoked.id)
    _, expired = keys.add(database, "alice", Role.READ, ttl_seconds=1)
    clock.advance(2)
    unknown = f"rm_{'0' * 12}_{'a' * 52}"
    keyring = Keyring(ADMIN_KEY, clock)
    looks = [statements(database, keyring, wrong) for wrong in (text, expired, unknown, "hunter2")]
    assert looks == [["SELECT"] * len(looks[0])] * 4
    assert looks[0]


def test_a_key_that_was_just_seen_costs_no_query(database: Database, keyring: Keyring, clock: Clock) -> None:
    _, text = keys.add(database, "alice", Role.READ)
    assert "UPDATE" in statements(database, keyring, text)
    clock.advance(RENEW_SECONDS - 0.1)
    assert statements(database, keyring, text) == []


def test_use_is_noted_once_a_minute(database: Database, keyring: Keyring, clock: Clock) -> None:
    _, text = keys.add(database, "alice", Role.READ)
    began, noted = clock.now, set[float | None]()
    for _ in range(14):
        keyring.find(database, text)
        noted.add(keys.every(database)[0].last_used_at)
        clock.advance(10)
    assert noted == {began, began + 60, began + 120}


@pytest.mark.parametrize("owner", ["", "*", "a b", "x" * 129, "-a", "a/b", "a\n"])
def test_an_owner_has_a_plain_name(owner: str) -> None:
    with pytest.raises(AccessRefused, match="cannot be an owner"):
        keys.add(Database("sqlite:////nowhere/at/all.db"), owner, Role.READ)
