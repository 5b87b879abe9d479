"""Telling who shows a key: asked at every request, so what was found out is remembered for some seconds."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from functools import partial

import structlog
from sqlalchemy import and_, or_, select, update
from sqlalchemy.exc import OperationalError

from base.access.callers import Caller, Role
from base.access.keys import KeyRecord, digest_of, id_in
from base.database import Database
from base.database.tables import api_keys
from base.remembered import Remembered

# How long a key that was revoked may still let somebody in.
MEMORY_SECONDS = 5.0
# A key in use is looked up again before that, while nobody waits for it.
RENEW_SECONDS = 2.5
MEMORY_KEYS = 10_000
# `last_used_at` is written at most this often for a key: a write costs more than most requests.
USE_NOTED_SECONDS = 60.0
_NO_DIGEST = "0" * 64
# The key of the setting; owns nothing before it submits something.
ADMIN = Caller(owner="admin", role=Role.ADMIN)

log = structlog.get_logger()


class Keyring:
    """Callers by the keys that they show; safe to share between threads."""

    def __init__(
        self,
        admin_key: str,
        clock: Callable[[], float] = time.monotonic,
        find_token: Callable[[str], Caller | None] | None = None,
    ) -> None:
        """``admin_key`` is the key of the setting, empty for none; it is compared, never stored.

        ``find_token`` tells whose JSON Web Token a text is, where those are taken.
        """
        self._admin = digest_of(admin_key) if admin_key else _NO_DIGEST
        self._find_token = find_token
        self._known: Remembered[Caller | None] = Remembered(RENEW_SECONDS, MEMORY_SECONDS, MEMORY_KEYS, clock)

    def remembered(self, text: str) -> Caller | None:
        """Whose key ``text`` is, if it was found out some seconds ago."""
        return self._known.known(digest_of(text))

    def find(self, database: Database, text: str) -> Caller | None:
        """Whose key ``text`` is; None for one that is unknown, revoked or over, without telling which."""
        digest, key_id = digest_of(text), id_in(text)
        is_admin = hmac.compare_digest(digest, self._admin)  # whose key may look like anything
        if self._find_token and not is_admin and key_id == "" and text.count(".") == 2:
            return self._known.find(digest, partial(self._find_token, text))
        return self._known.find(digest, partial(self._look_up, database, key_id, digest))

    def _look_up(self, database: Database, key_id: str, digest: str) -> Caller | None:
        # both are looked at, whatever the first says: how long it takes tells nothing
        stored = _stored(database, key_id, digest)
        return ADMIN if hmac.compare_digest(digest, self._admin) else stored


def _stored(database: Database, key_id: str, digest: str) -> Caller | None:
    """The caller of a stored key; the same look and the same comparison whether there is one or not."""
    with database.reading() as connection:
        now = database.now(connection)
        row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    matches = hmac.compare_digest(digest, _NO_DIGEST if row is None else row.sha256)
    if row is None or not matches:
        return None
    record = KeyRecord.from_row(row)
    if not record.is_live(now):
        return None
    _note_use(database, record, now)
    return Caller(record.owner, record.role, record.id, record.max_open_jobs, record.max_stored_bytes)


def _note_use(database: Database, record: KeyRecord, now: float) -> None:
    before = now - USE_NOTED_SECONDS
    if record.last_used_at is not None and record.last_used_at > before:
        return
    due = and_(
        api_keys.c.id == record.id,
        or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= before),
    )
    try:
        with database.writing() as connection:
            connection.execute(update(api_keys).where(due).values(last_used_at=now))
    except OperationalError as error:  # a key is no worse for that
        log.warning("use of an API key not noted", key=record.id, reason=str(error.orig))
