"""A request that is not let in, as one exception with a stable code; ``api/errors.py`` has the statuses."""

from __future__ import annotations


class AccessRefused(Exception):
    """Why somebody is not let in, and what to do. Never says which part of a key was wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
