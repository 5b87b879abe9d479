"""Links that let whoever has them read one result for a while: signed, so that nothing need be remembered.

A link is ``<payload>.<mac>``. The payload says whose it is, under which key it was made and when it ends; the
mac covers that and the path, so a link opens one address and no other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from base.access.errors import AccessRefused
from base.access.keys import KeyRecord
from base.database import Database
from base.database.tables import api_keys

FILE_NAME = "links.key"
SECRET_BYTES = 32


@dataclass(frozen=True)
class Link:
    """What a link says: whose rows it opens, who made it (empty: nobody with a stored key), when it ends."""

    owner: str
    key_id: str
    expires_at: int


class Links:
    """Signs links and reads them, with a secret of the data folder, made when it is first needed.

    Removing the file ends all links once the API is started anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secret = b""

    def sign(self, path: str, link: Link) -> str:
        """The text that opens ``path`` until the link ends."""
        payload = json.dumps([link.owner, link.key_id, link.expires_at]).encode()
        return f"{_encoded(payload)}.{_encoded(self._mac(path, payload))}"

    def read(self, database: Database, path: str, text: str) -> Link:
        """What a link to ``path`` says.

        Raises ``AccessRefused`` (``invalid_link``, ``link_expired``), also once its key is revoked.
        """
        payload, mac = (_decoded(part) for part in text.partition(".")[::2])
        if not hmac.compare_digest(mac, self._mac(path, payload)):
            raise _invalid()
        owner, key_id, expires_at = json.loads(payload)
        with database.reading() as connection:
            now = database.now(connection)
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
        if key_id and (row is None or not KeyRecord.from_row(row).is_live(now)):
            raise _invalid()
        if now >= expires_at:
            raise AccessRefused("link_expired", "The time of this link is over. Ask for another one.")
        return Link(owner, key_id, expires_at)

    def _mac(self, path: str, payload: bytes) -> bytes:
        self._secret = self._secret or _secret_in(self._folder)
        return hmac.digest(self._secret, path.encode() + b"\0" + payload, hashlib.sha256)


def _secret_in(folder: Path) -> bytes:
    path = folder / FILE_NAME
    if not path.exists():
        _make_secret(path)
    return path.read_bytes()


def _make_secret(path: Path) -> None:
    """Write the file whole or not at all; of several processes the first one counts."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_bytes(SECRET_BYTES))
        os.fsync(handle)
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        os.close(handle)
        draft.unlink()


def _invalid() -> AccessRefused:
    return AccessRefused(
        "invalid_link", "This link opens nothing: it was changed, was made for another address, or ended."
    )


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
