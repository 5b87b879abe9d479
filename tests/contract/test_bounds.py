"""How long a fault can cost at default settings, as arithmetic on the real rules: no test waits for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis
from kombu.utils import functional

from base.broker import BREAKER_SECONDS, SEND_TIMEOUT_SECONDS, Broker, plain_redis_url
from base.settings import Settings
from jobs.caretaker import SILENT_INTERVALS, Caretaker
from jobs.lifecycle.chunks import renew
from jobs.lifecycle.window import open_window
from jobs.workshop import Workshop
from tests.builders import claim_chunk, planned_job
from tests.conftest import Clock
from workers import app
from workers.connection import PAUSES

DEFAULT = Settings.model_fields
LEASE, HEARTBEAT, CARETAKER = (
    float(DEFAULT[name].default) for name in ("lease_seconds", "heartbeat_seconds", "caretaker_seconds")
)
RESTART_BOUND_SECONDS = 75
REDIS_BOUND_SECONDS = 15
TAKEOVER_BOUND_SECONDS = 20


@pytest.mark.parametrize("phase", [0.0, 0.1, 2.5, 4.9])
def test_a_chunk_of_another_hosts_dead_worker_is_sent_within_75_s(
    workshop: Workshop, clock: Clock, phase: float
) -> None:
    """It dies right after a heartbeat, and the caretaker ticks at any phase to it."""
    job = planned_job(workshop.database, chunk_count=1)
    held = claim_chunk(workshop.database, job, 0, worker="elsewhere:1")
    assert held is not None
    clock.advance(HEARTBEAT)
    assert renew(workshop.database, held, LEASE)
    died, caretaker = clock.now, Caretaker(workshop)
    clock.advance(phase)
    while not workshop.broker.queue_length():
        caretaker.tick()
        if not workshop.broker.queue_length():
            clock.advance(CARETAKER)
        assert clock.now - died <= RESTART_BOUND_SECONDS
    assert clock.now - died > LEASE, "nobody could know sooner"
    assert claim_chunk(workshop.database, job, 0)


def test_jobs_go_on_within_15_s_of_the_return_of_redis(workshop: Workshop, clock: Clock) -> None:
    job = planned_job(workshop.database, chunk_count=3)
    away = replace(workshop, broker=Broker("redis://127.0.0.1:1/0"))
    open_window(away.database, away.broker, 4)
    Caretaker(away).tick()
    assert workshop.broker.queue_length() == 0
    clock.advance(CARETAKER)
    Caretaker(workshop).tick()  # the first tick after its return
    assert workshop.broker.queue_length() == 3
    assert claim_chunk(workshop.database, job, 0)
    away.broker.close()
    # a tick that comes while the breaker is still open sends nothing, so two may pass; then a worker returns
    longest_pause = PAUSES["interval_start"] + PAUSES["interval_max"]
    assert max(BREAKER_SECONDS, CARETAKER) + CARETAKER + longest_pause <= REDIS_BOUND_SECONDS


def test_a_worker_looks_for_redis_every_few_seconds_however_long_it_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(functional, "sleep", lambda _seconds: None)
    pauses: list[float] = []
    connection = app.connection_for_read("redis://127.0.0.1:1/0")
    with pytest.raises(connection.connection_errors):
        connection.ensure_connection(
            lambda _error, pause: pauses.append(pause), 50, reraise_as_library_errors=False
        )
    assert len(pauses) == 50
    assert max(pauses) <= PAUSES["interval_start"] + PAUSES["interval_max"]


def test_workers_stand_in_for_a_silent_caretaker_within_20_s(workshop: Workshop, clock: Clock) -> None:
    deputy = Caretaker(workshop)
    Caretaker(workshop).tick()
    clock.advance(SILENT_INTERVALS * CARETAKER)
    assert not deputy.stand_in(), "the caretaker may only be slow"
    job = planned_job(workshop.database, chunk_count=1)
    clock.advance(CARETAKER)
    assert deputy.stand_in()
    assert workshop.broker.queue_length() == 1
    assert claim_chunk(workshop.database, job, 0)
    assert not deputy.stand_in(), "somebody has just been at work"
    assert (SILENT_INTERVALS + 1) * CARETAKER + SEND_TIMEOUT_SECONDS < TAKEOVER_BOUND_SECONDS


def test_two_caretakers_at_the_same_moment_are_no_loss(workshop: Workshop, clock: Clock) -> None:
    first, second = Caretaker(workshop), Caretaker(workshop)
    planned_job(workshop.database, chunk_count=3)
    first.tick()
    clock.advance(CARETAKER)
    before = workshop.broker.read_tick()
    first.tick()
    assert before is not None
    workshop.broker.write_tick(
        before
    )  # the first has written its number into the database, not yet into Redis
    clock.advance(0.1)
    second.tick()
    assert workshop.broker.queue_length() == 3
    clock.advance(CARETAKER)
    second.tick()  # it never did: the number is that of an old copy
    assert workshop.broker.queue_length() == 6


def test_a_frozen_redis_is_given_up_after_one_try(redis_url: str) -> None:
    """A pause of three tries would be noticed: after it, the second would get its answer."""
    broker, client = Broker(redis_url), redis.Redis.from_url(plain_redis_url(redis_url))
    client.client_pause(int(1000 * 2.5 * SEND_TIMEOUT_SECONDS))
    with pytest.raises(redis.TimeoutError):
        broker.read_tick()
    broker.close()
    client.close()
