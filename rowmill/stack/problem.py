"""The one exception of this package that is meant for the user's eyes."""

from __future__ import annotations


class StackProblem(Exception):
    """The stack cannot start or go on: one line that says what is wrong, with which value, and what to do."""
