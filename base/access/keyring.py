"""Telling who shows a key: asked at every request, so what was found out is remembered for some seconds."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import and_, or_, select, update
from sqlalchemy.exc import OperationalError

from base.access.callers import Caller, Role
from base.access.keys import KeyRecord, digest_of, id_in
from base.database import Database
from base.database.tables import api_keys

# How long a key that was revoked may still let somebody in.
MEMORY_SECONDS = 5.0
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
        self._clock = clock
        self._find_token = find_token
        self._known: dict[str, tuple[Caller, float]] = {}
        self._lock = threading.Lock()

    def remembered(self, text: str) -> Caller | None:
        """Whose key ``text`` is, if it was found out some seconds ago."""
        known = self._known.get(digest_of(text))
        return known[0] if known is not None and self._clock() < known[1] else None

    def find(self, database: Database, text: str) -> Caller | None:
        """Whose key ``text`` is; None for one that is unknown, revoked or over, without telling which."""
        if (known := self.remembered(text)) is not None:
            return known
        digest = digest_of(text)
        now = self._clock()
        if self._find_token and id_in(text) == "" and text.count(".") == 2:
            caller = self._find_token(text)
            self._remember(digest, caller, now)
            return caller
        # both are looked at, whatever the first says: how long it takes tells nothing
        stored = _stored(database, text, digest)
        caller = ADMIN if hmac.compare_digest(digest, self._admin) else stored
        self._remember(digest, caller, now)
        return caller

    def _remember(self, digest: str, caller: Caller | None, now: float) -> None:
        with self._lock:
            self._known.pop(digest, None)
            if caller is None:
                return
            if len(self._known) >= MEMORY_KEYS:
                self._known.clear()
            self._known[digest] = (caller, now + MEMORY_SECONDS)


def _stored(database: Database, text: str, digest: str) -> Caller | None:
    """The caller of a stored key; the same look and the same comparison whether there is one or not."""
    with database.reading() as connection:
        now = database.now(connection)
        row = connection.execute(select(api_keys).where(api_keys.c.id == id_in(text))).first()
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
