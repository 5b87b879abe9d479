"""Requests that a server's main loop answers by itself, because a thread would cost more than the answer.

Handing a request to a thread and back takes longer than a plain prediction, and threads take turns in no
order: the last one waits for all others. But who answers in the main loop must never wait, not for a
database, a model or a client. So the loop asks, and the app says :class:`NotAtOnce` where it would have to
wait; a thread then gets the request as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A thread has a context of its own, so what the main loop sets here no thread sees.
_is_asked: ContextVar[bool] = ContextVar("at_once", default=False)
# How requests begin that are worth asking about.
BEGINNINGS = (b"POST /predict ", b"POST /predict?")
# The probabilities of so many classes have room in the buffer of any connection.
MAX_CLASSES = 200
# A model that takes longer for a row would hold up whoever comes after it.
MAX_ROW_SECONDS = 0.001


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


class ByThread:
    """A WSGI application that may wait, and so never answers at once."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer, in a thread."""
        if is_asked():
            raise NotAtOnce
        return self.app(environ, start_response)
