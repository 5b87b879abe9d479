"""Celery's command line in a process that dies with its third message popped and not yet noted down.

``python -m tests.transport.losing_worker -A workers worker``: what kill -9 does once in a thousand times.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from celery.__main__ import main
from kombu.transport.redis import QoS

LOST_MESSAGE = 3
note_down: Any = QoS.append
seen = 0


def die_instead(self: QoS, message: Any, delivery_tag: str) -> None:
    """Stand in for kombu's second step."""
    global seen  # noqa: PLW0603 - one process, one count
    seen += 1
    if seen == LOST_MESSAGE:
        os.killpg(0, signal.SIGKILL)
    note_down(self, message, delivery_tag)


if __name__ == "__main__":
    QoS.append = die_instead  # type: ignore[method-assign]
    main()
