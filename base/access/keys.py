"""API keys as they are kept: made once, shown once, stored as a SHA-256 beside their id.

A plain hash is enough: the secret has 256 random bits, so nobody can guess it from its digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, fields
from typing import Any, Self

from sqlalchemy import Row, and_, func, insert, or_, select, update

from base.access.callers import Role
from base.access.errors import AccessRefused
from base.database import Database
from base.database.tables import api_keys

PREFIX = "rm"
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
NAME_LENGTH = 128
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class KeyRecord:
    """A stored key, without its digest."""

    id: str
    owner: str
    role: Role
    name: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    max_open_jobs: int | None
    max_stored_bytes: int | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """Build the record from a row of ``api_keys``."""
        values = {field.name: row._mapping[field.name] for field in fields(cls)}
        return cls(**values | {"role": Role(row.role)})

    def is_live(self, now: float) -> bool:
        """Whether the key lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest_of(text: str) -> str:
    """What of a key is stored and compared."""
    return hashlib.sha256(text.encode()).hexdigest()


def id_in(text: str) -> str:
    """The id that a key names; empty if the text is no key of ours."""
    prefix, _, rest = text.partition("_")
    key_id = rest.partition("_")[0]
    return key_id if prefix == PREFIX and _ID.fullmatch(key_id) else ""


def add(
    database: Database,
    owner: str,
    role: Role,
    *,
    name: str = "",
    ttl_seconds: float | None = None,
    max_open_jobs: int | None = None,
    max_stored_bytes: int | None = None,
) -> tuple[KeyRecord, str]:
    """Make a key; the second value is its text, which is kept nowhere.

    Raises ``AccessRefused`` for an owner or a name that cannot be stored.
    """
    if not OWNER.fullmatch(owner):
        raise AccessRefused(
            "bad_owner",
            f"{owner!r} cannot be an owner; take 1 to 128 letters, digits and . _ @ + -, a letter or a digit "
            "first.",
        )
    if len(name) > NAME_LENGTH:
        raise AccessRefused("bad_name", f"The name has {len(name)} characters; give {NAME_LENGTH} at most.")
    key_id = secrets.token_hex(6)
    secret = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()
    text = f"{PREFIX}_{key_id}_{secret}"
    with database.writing() as connection:
        now = database.now(connection)
        values = {
            "id": key_id,
            "sha256": digest_of(text),
            "owner": owner,
            "role": role,
            "name": name,
            "created_at": now,
            "expires_at": None if ttl_seconds is None else now + ttl_seconds,
            "max_open_jobs": max_open_jobs,
            "max_stored_bytes": max_stored_bytes,
        }
        row = connection.execute(insert(api_keys).values(values).returning(*api_keys.c)).one()
    return KeyRecord.from_row(row), text


def every(database: Database) -> list[KeyRecord]:
    """All keys, those that let nobody in any more too, oldest first."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    with database.reading() as connection:
        return [KeyRecord.from_row(row) for row in connection.execute(query)]


def count_live(database: Database) -> int:
    """Keys that let somebody in."""
    with database.reading() as connection:
        now = database.now(connection)
        unexpired = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now)
        live = and_(api_keys.c.revoked_at.is_(None), unexpired)
        return int(connection.execute(select(func.count()).select_from(api_keys).where(live)).scalar_one())


def revoke(database: Database, key_id: str) -> KeyRecord:
    """End a key; harmless to repeat. Raises ``AccessRefused`` (``unknown_key``) if there is none."""
    with database.writing() as connection:
        revoked_at = func.coalesce(api_keys.c.revoked_at, database.now(connection))
        ended = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=revoked_at)
        row = connection.execute(ended.returning(*api_keys.c)).first()
    if row is None:
        raise AccessRefused("unknown_key", f"There is no key {key_id!r}; `rowmill keys ls` lists them.")
    return KeyRecord.from_row(row)
