"""The way to the broker: sends the ids of work to be done, and the Redis sentinel of the caretaker.

Sending is a hint and must never hold up or fail what the database already knows: it has a time-out of a
second and a breaker, and tells by its answer whether the hint went out.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

MESSAGE_VERSION = 1
SEND_TIMEOUT_SECONDS = 1.0
BREAKER_SECONDS = 5.0
TICK_KEY = "rowmill:tick"
QUEUE = "celery"

log = structlog.get_logger()


class Broker:
    """Sends task messages to the Redis at ``url``; after a failure it keeps quiet for some seconds."""

    def __init__(self, url: str) -> None:
        self.url = url
        options = {"socket_timeout": SEND_TIMEOUT_SECONDS, "socket_connect_timeout": SEND_TIMEOUT_SECONDS}
        # kombu's own way of connecting tries for many seconds before it says that it cannot; a second try
        # would take as long as the first
        no_patience = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}
        self._app = Celery("rowmill-sender", broker=url, set_as_current=False)
        self._app.conf.update(
            broker_transport_options={**options, **no_patience},
            task_ignore_result=True,
            task_send_sent_event=True,
            broker_pool_limit=8,
        )
        # redis-py's own way tries four times, which takes many seconds when Redis is frozen
        once = Retry(NoBackoff(), 0)
        self._redis = redis.Redis.from_url(plain_redis_url(url), retry=once, **options)
        self._closed_until = 0.0

    def send(self, task: str, job_id: str, chunk: int | None = None) -> bool:
        """Send the hint that ``task`` may run.

        Returns False when Redis cannot be reached: the caretaker sends it again later.
        """
        if time.monotonic() < self._closed_until:
            return False
        message: dict[str, Any] = {"v": MESSAGE_VERSION, "job_id": job_id}
        if chunk is not None:
            message["chunk"] = chunk
        try:
            self._app.send_task(task, kwargs=message, task_id=_readable_id(task, job_id, chunk), retry=False)
        except (OperationalError, redis.RedisError, OSError) as error:
            self._closed_until = time.monotonic() + BREAKER_SECONDS
            log.warning("message not sent", task=task, job_id=job_id, chunk=chunk, reason=str(error))
            return False
        return True

    def read_tick(self) -> int | None:
        """The tick number that Redis remembers; None when it has none (it is new, or was wiped)."""
        value = self._redis.get(TICK_KEY)
        return None if value is None else int(str(value, "ascii") if isinstance(value, bytes) else str(value))

    def write_tick(self, number: int) -> None:
        """Let Redis remember the tick number."""
        self._redis.set(TICK_KEY, number)

    def queue_length(self) -> int:
        """Messages that wait in Redis; those that a worker holds do not count."""
        return int(str(self._redis.llen(QUEUE)))

    def close(self) -> None:
        """Give the connections back."""
        self._app.close()
        self._redis.close()


def plain_redis_url(url: str) -> str:
    """kombu writes ``redis+socket://``, redis-py ``unix://``, for the same thing."""
    return url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=")


def _readable_id(task: str, job_id: str, chunk: int | None) -> str:
    """What Flower lists a message under: its job, what is done, and a mark, for it may be sent again."""
    what = task.rpartition(".")[2] if chunk is None else f"chunk-{chunk}"
    return f"{job_id}-{what}-{secrets.token_hex(2)}"
