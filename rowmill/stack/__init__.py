"""The stack on one machine: finds what it needs, starts it, keeps it running and leaves nothing behind.

``Stack`` is the one door; the other modules are its parts. What a job or a model is, is not known here.
"""

from __future__ import annotations

from rowmill.stack.problem import StackProblem
from rowmill.stack.stack import Stack

__all__ = ["Stack", "StackProblem"]
