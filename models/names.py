"""The rules for names of models, versions and aliases, and how a reference such as ``wine@3`` is read."""

from __future__ import annotations

import re
from typing import NamedTuple

from models.errors import ModelError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,99}")
_VERSION = re.compile(r"[0-9]{1,9}")


class Reference(NamedTuple):
    """``wine`` has neither version nor alias, ``wine@3`` a version, ``wine@production`` an alias."""

    name: str
    version: int | None
    alias: str | None


def parse(reference: str) -> Reference:
    """Read a reference; ModelError ``invalid_reference`` says what is wrong with it."""
    name, at, rest = reference.partition("@")
    if not _NAME.fullmatch(name):
        raise ModelError("invalid_reference", _name_problem(name))
    if not at:
        return Reference(name, None, None)
    if _VERSION.fullmatch(rest):
        return Reference(name, int(rest), None)
    if _ALIAS.fullmatch(rest):
        return Reference(name, None, rest)
    raise ModelError(
        "invalid_reference",
        f"{reference!r} is not a model reference: after the @ stands a version number (wine@3) or an alias "
        "that starts with a lower-case letter (wine@production).",
    )


def check_name(name: str) -> str:
    """``name`` if a model may be called that, else ModelError ``invalid_name``."""
    if not _NAME.fullmatch(name):
        raise ModelError("invalid_name", _name_problem(name))
    return name


def check_alias(alias: str) -> str:
    """``alias`` if an alias may be called that, else ModelError ``invalid_alias``."""
    if not _ALIAS.fullmatch(alias):
        raise ModelError(
            "invalid_alias",
            f"{alias!r} cannot be an alias: it starts with a lower-case letter, followed by letters, digits, "
            "- or _ (100 characters at most).",
        )
    return alias


def _name_problem(name: str) -> str:
    return (
        f"{name!r} is not a model name: lower-case letters, digits, - and _ only, "
        "starting with a letter or digit, 100 characters at most."
    )
