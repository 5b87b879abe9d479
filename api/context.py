"""What a view may ask of the running app. It stands apart from ``app`` because ``app`` imports every view."""

from __future__ import annotations

from typing import cast

from flask import current_app, g

from api.result_cache import ResultCache
from base.access.callers import Caller
from jobs.feedback.log import PredictionLog
from jobs.lifecycle.quotas import Quota
from jobs.shadowing.offering import Shadows
from jobs.workshop import Workshop


def caller() -> Caller:
    """Whoever sent the request."""
    return cast(Caller, g.caller)


def scope() -> str:
    """Whose jobs the request may see: the caller's own, or everybody's for an admin."""
    return caller().scope


def quota() -> Quota:
    """What the caller may have at once: the limits of the key, or else those of the settings."""
    sent, settings = caller(), workshop().settings
    jobs, stored = sent.max_open_jobs, sent.max_stored_bytes
    return Quota(
        max_open_jobs=settings.quota_open_jobs if jobs is None else jobs,
        max_stored_bytes=settings.quota_stored_bytes if stored is None else stored,
    )


def result_cache() -> ResultCache:
    """Predictions that this process keeps."""
    return cast(ResultCache, current_app.extensions["result_cache"])


def prediction_log() -> PredictionLog | None:
    """Where single predictions are noted; None unless that is wanted."""
    return cast(PredictionLog | None, current_app.extensions["prediction_log"])


def shadows() -> Shadows:
    """Where copies for challengers are left."""
    return cast(Shadows, current_app.extensions["shadows"])


def workshop() -> Workshop:
    """The connections of the running app."""
    return cast(Workshop, current_app.extensions["workshop"])
