"""The one kind of exception that this room raises on purpose: a stable code and a message for people.

What an estimator raises while it scores is not wrapped here: who called decides what that means.
"""

from __future__ import annotations


class ModelError(Exception):
    """A model, version, alias or artefact that cannot be used; ``message`` says what to do about it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ModelNotFound(ModelError):
    """No such model, version or alias (``unknown_model``, ``unknown_version``, ``unknown_alias``)."""


class ArtefactRefused(ModelError):
    """A file that cannot become, or no longer is, a usable model."""


class SignatureRefused(ArtefactRefused):
    """The estimator and what was said about its columns, labels or sample do not fit together."""


class UnexpectedOutput(ModelError):
    """An answer of the estimator that does not fit what is known of it; other rows may be answered well."""


class BadImage(ModelError):
    """One image that cannot be turned into a row of numbers."""
