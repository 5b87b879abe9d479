"""The sender's side: nobody is held up by a Redis that does not answer, and a message is nothing but ids."""

from __future__ import annotations

import base64
import json
import threading

import pytest
import redis

from base import broker
from base.broker import Broker, plain_redis_url
from rowmill.stack.checks import listen
from tests.transport.redis_server import RedisServer
from tests.transport.site import SECONDS
from tests.waiting import wait_until


def test_a_sender_does_not_wait_for_a_frozen_redis(
    monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    ours = Broker(redis_server.url)
    monkeypatch.setattr(broker, "SEND_TIMEOUT_SECONDS", None)  # as Celery has it
    patient = Broker(redis_server.url)
    sent: list[bool] = []
    waiting = threading.Thread(target=lambda: sent.append(patient.send("run", "patient")), daemon=True)
    with redis_server.frozen():
        waiting.start()
        assert not ours.send("run", "ours")
        waiting.join(3)
        assert waiting.is_alive()
    waiting.join(SECONDS)
    assert sent == [True]
    ours.close()
    patient.close()


def test_what_does_not_answer_is_asked_once() -> None:
    with listen("127.0.0.1", 0, "--port") as deaf:
        deaf.setblocking(False)
        sender = Broker(f"redis://127.0.0.1:{deaf.getsockname()[1]}")
        assert not sender.send("run", "a")
        assert not sender.send("run", "b")  # the breaker
        deaf.accept()[0].close()
        with pytest.raises(BlockingIOError):
            deaf.accept()
        sender.close()


def test_a_sender_goes_on_with_a_redis_that_came_back(redis_server: RedisServer) -> None:
    sender = Broker(redis_server.url)
    assert sender.send("run", "a")
    redis_server.kill()
    redis_server.start()
    assert sender.send("run", "b")
    assert sender.queue_length() == 1
    sender.close()


def test_a_message_is_ids_and_no_promise(redis_url: str) -> None:
    sender = Broker(redis_url)
    assert sender.send("rowmill.score", "some-job", 3)
    client = redis.Redis.from_url(plain_redis_url(redis_url))
    wait_until(lambda: sender.queue_length() == 1, "the message is there")
    message = json.loads(str(client.rpop(broker.QUEUE), "ascii"))  # type: ignore[arg-type]
    positional, named, canvas = json.loads(base64.b64decode(message["body"]))
    assert (positional, named) == ([], {"v": 1, "job_id": "some-job", "chunk": 3})
    assert not any(canvas.values())  # no chain, chord or callback
    headers = message["headers"]
    assert [headers[name] for name in ("eta", "expires", "group", "parent_id")] == [None] * 4
    assert headers["retries"] == 0
    assert message["content-type"] == "application/json"
    client.close()
    sender.close()
