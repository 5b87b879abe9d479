"""What a view may ask of the running app. It stands apart from ``app`` because ``app`` imports every view."""

from __future__ import annotations

from typing import cast

from flask import current_app

from jobs.workshop import Workshop

OWNER = "local"  # every job's owner until there are keys


def workshop() -> Workshop:
    """The connections of the running app."""
    return cast(Workshop, current_app.extensions["workshop"])
