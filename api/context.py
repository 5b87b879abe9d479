"""What a view may ask of the running app. It stands apart from ``app`` because ``app`` imports every view."""

from __future__ import annotations

from typing import cast

from flask import current_app, g

from base.access.callers import Caller
from jobs.workshop import Workshop


def caller() -> Caller:
    """Whoever sent the request."""
    return cast(Caller, g.caller)


def scope() -> str:
    """Whose jobs the request may see: the caller's own, or everybody's for an admin."""
    return caller().scope


def workshop() -> Workshop:
    """The connections of the running app."""
    return cast(Workshop, current_app.extensions["workshop"])
