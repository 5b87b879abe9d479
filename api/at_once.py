"""Requests that a server's main loop answers by itself, because a thread would cost more than the answer.

Handing a request to a thread and back takes longer than a plain prediction, and threads take turns in no
order: the last one waits for all others. But who answers in the main loop must never wait, not for a
database, a model or a client. So the loop asks, and the app says :class:`NotAtOnce` where it would have to
wait; a thread then gets the request as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A thread has a context of its own, so what the main loop sets here no thread sees.
_is_asked: ContextVar[bool] = ContextVar("at_once", default=False)
# How requests begin that are worth asking about.
BEGINNINGS = (b"POST /predict ", b"POST /predict?")


class NotAtOnce(Exception):
    """The answer may take a while."""


@contextmanager
def asking() -> Iterator[None]:
    """Requests that are served in this context are answered at once, or raise :class:`NotAtOnce`."""
    token = _is_asked.set(True)
    try:
        yield
    finally:
        _is_asked.reset(token)


def is_asked() -> bool:
    """Whether nothing may be waited for."""
    return _is_asked.get()
