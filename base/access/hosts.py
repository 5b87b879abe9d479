"""Which names a server answers to, and which pages may send it requests.

A page of another site can make a browser talk to this machine: under a name of its own that it lets resolve
to 127.0.0.1 (DNS rebinding), or by a plain form that posts here. The first is told by Host, the second by
Origin. Addresses are always fine as a Host: a browser sends what stands in the link, and no site owns one.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listed(text: str) -> list[str]:
    """The entries of a setting that holds several, separated by commas."""
    return [entry.strip().lower() for entry in text.split(",") if entry.strip()]


class Hosts:
    """Names that this server answers to: its own, and those of the setting ``allowed_hosts``.

    An entry that begins with a dot stands for all names below it.
    """

    def __init__(self, bound: str, allowed: str) -> None:
        names = ["localhost", ".localhost", bound.lower(), *listed(allowed)]
        self._names = frozenset(names)
        self._endings = tuple(name for name in names if name.startswith("."))
        self.allow = lru_cache(1024)(self._allow)  # asked at every request, about few different names

    def _allow(self, header: str) -> bool:
        name = _name_of(header)
        return name in self._names or name.endswith(self._endings) or _is_address(name)


def _name_of(header: str) -> str:
    """The Host without its port, brackets or final dot."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Origins:
    """Pages that may send requests that change something: the server's own, and those of the setting."""

    def __init__(self, allowed: str) -> None:
        self._origins = frozenset(entry.rstrip("/") for entry in listed(allowed))

    def allow(self, origin: str, host: str) -> bool:
        """Whether a request to ``host`` may come from ``origin``; both as in the headers of that name.

        The scheme is not compared: behind a proxy that does the encryption it is not known here.
        """
        _, separator, name = origin.lower().partition("://")  # a browser may say `null`
        return origin.lower() in self._origins or (bool(separator) and name == host.lower())
