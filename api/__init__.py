"""The front door: ``flask --app api run``, or gunicorn on ``api:create_app()``. Parse, call, present."""

from __future__ import annotations

from api.app import create_app

__all__ = ["create_app"]
