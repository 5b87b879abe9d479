"""The door: which Host and Origin a request may name, whose key it shows, and what that key may do.

One rule for all routes, so that a new one cannot be forgotten: what only looks (GET, HEAD) needs the role
``read``, everything else ``submit``. Whose jobs a caller sees is decided where they are asked for, by
:func:`api.context.scope`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from apiflask import APIFlask
from flask import g, request

from api.context import workshop
from base.access.callers import LOCAL, Caller, Role
from base.access.errors import AccessRefused
from base.access.hosts import Hosts, Origins, is_loopback
from base.access.keyring import Keyring
from base.access.links import Links
from base.database import Database
from base.settings import Settings

# Load balancers ask these, without a key. What is there is no secret.
OPEN_PATHS = frozenset({"/healthz", "/health", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready"})
OPEN_FOLDER = "/static/"
_LINK = re.compile("(^|&)link=")
LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})


def register(app: APIFlask, door: Door) -> None:
    """Let every request of ``app`` through the door."""
    app.extensions["door"] = door

    def enter() -> None:
        g.caller = door.admit(request.environ, workshop().database)

    app.before_request(enter)


class Door:
    """Lets a request in or refuses it, by what WSGI says of it."""

    def __init__(self, settings: Settings) -> None:
        self._required = settings.require_keys
        self._hosts = Hosts(settings.host, settings.allowed_hosts)
        self._origins = Origins(settings.allowed_origins)
        self.links = Links(settings.data_dir)
        self._keyring = Keyring(
            settings.admin_key.get_secret_value(),
            find_token=_find_token(settings) if settings.takes_tokens else None,
        )

    def admit(self, environ: dict[str, Any], database: Database) -> Caller:
        """Whoever sent the request. Raises ``AccessRefused``.

        Costs no look at the database while keys are off, nor for a key that was seen within some seconds.
        """
        self._check_names(environ)
        if _LINK.search(environ["QUERY_STRING"]) and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._holder_of_link(environ, environ["PATH_INFO"], database)
        return self._by_key(environ, database)

    def admit_remembered(self, environ: dict[str, Any]) -> Caller:
        """As ``admit``, without a look at the database: refuses a key too that would have to be looked up."""
        self._check_names(environ)
        return self._by_key(environ, None)

    def _check_names(self, environ: dict[str, Any]) -> None:
        host = environ.get("HTTP_HOST", "")
        if host and not self._hosts.allow(host):
            raise _host_not_allowed(host)
        origin = environ.get("HTTP_ORIGIN")  # browsers send it with whatever may change something
        is_unsafe = environ["REQUEST_METHOD"] not in LOOKING
        if origin is not None and is_unsafe and not self._origins.allow(origin, host):
            raise _origin_not_allowed(origin)

    def _by_key(self, environ: dict[str, Any], database: Database | None) -> Caller:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if not self._asks_for_key(environ):
            return LOCAL
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or method == "OPTIONS":
            return Caller(owner="", role=Role.READ)
        caller = self._identify(environ, database)
        needed = Role.READ if method in LOOKING else Role.SUBMIT
        if not caller.role.includes(needed):
            raise AccessRefused(
                "forbidden", f"{method} needs a key with the role {needed}; yours has {caller.role}."
            )
        return caller

    def _holder_of_link(self, environ: dict[str, Any], path: str, database: Database) -> Caller:
        """Whoever has a link may read what it is for, keys or not; nothing else is ever signed."""
        text = parse_qs(environ["QUERY_STRING"]).get("link", [""])[-1]
        link = self.links.read(database, path, text)
        return Caller(link.owner, Role.READ, by_link=True)

    def _asks_for_key(self, environ: dict[str, Any]) -> bool:
        """Always where others can come in: what counts is the address that the request arrived at.

        A Unix socket has none (its server's name is what the client says): a proxy stands in front of it.
        """
        arrived = environ.get("werkzeug.proxy_fix.orig", environ)
        by_unix_socket = arrived.get("REMOTE_ADDR") == ""
        return self._required or by_unix_socket or not is_loopback(arrived["SERVER_NAME"])

    def _identify(self, environ: dict[str, Any], database: Database | None) -> Caller:
        shown = shown_key(environ)
        if not shown:
            raise AccessRefused(
                "key_required",
                "This server asks for an API key: send it as `Authorization: Bearer KEY` or `X-API-Key: "
                "KEY`. `rowmill keys add OWNER` makes one, on the machine that the server runs on.",
            )
        caller = self._keyring.find(database, shown) if database else self._keyring.remembered(shown)
        if caller is None:
            raise AccessRefused("invalid_key", "The key is unknown, revoked or over. Ask for another one.")
        return caller


def _find_token(settings: Settings) -> Callable[[str], Caller | None]:
    from base.access.tokens import Tokens  # noqa: PLC0415 - an extra that most servers do not have

    return Tokens(settings).find


def shown_key(environ: dict[str, Any]) -> str:
    """The key that a request shows, wherever it stands; empty if there is none."""
    if key := environ.get("HTTP_X_API_KEY", "").strip():
        return str(key)
    scheme, _, rest = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return str(rest.strip())
    return _of_login(rest.strip()) if scheme.lower() == "basic" else ""


def _of_login(encoded: str) -> str:
    """The password of HTTP Basic, or the user's name where that stands alone."""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # no base64, no text, or bytes that are not even ASCII
        return "unreadable"  # shown, and no key
    return password or user


def _host_not_allowed(host: str) -> AccessRefused:
    return AccessRefused(
        "host_not_allowed",
        f"This server does not answer to the name {_plain(host)}. If it is meant to, add the name to the "
        "setting ROWMILL_ALLOWED_HOSTS.",
    )


def _origin_not_allowed(origin: str) -> AccessRefused:
    return AccessRefused(
        "origin_not_allowed",
        f"Pages of {_plain(origin)} may not change anything here. If they are meant to, add the origin to "
        "the setting ROWMILL_ALLOWED_ORIGINS.",
    )


def _plain(name: str) -> str:
    """A name to be shown, without what no name has in it."""
    return re.sub(r"[^\w.:/\[\]-]", "?", name[:100])
