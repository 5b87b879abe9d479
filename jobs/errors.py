"""What can go wrong with a job, as one exception with a stable code.

``Problem`` is a refusal or a failure that somebody must read: the API alone turns its code into an HTTP
status. Bad rows are not exceptions; they are data in the result (``base.formats.RowProblem``). Refusals that
the rooms below raise (``base.formats.InputRefused``, ``models.errors.ModelError``) have the same two parts.
"""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """What cannot go on, and why: a stable ``code``, a sentence, and one entry for each thing wrong."""

    def __init__(self, code: str, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = errors or []


class LostLease(Exception):
    """Another attempt took over, or the job ended: what this attempt made must be thrown away."""
