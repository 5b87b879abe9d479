"""URLs as they may be shown to people."""

from __future__ import annotations


def without_password(url: str) -> str:
    """The URL with ``***`` for its password, if there is one."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, separator, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}{separator}{user}{colon}{'***' if colon else ''}@{tail}"
