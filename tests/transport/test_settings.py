"""Each setting of celeryconfig.py that is not a default: the same injury with it, and without it."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from celery import Celery

from tests.transport.conftest import Pair
from tests.transport.site import SECONDS, Site
from tests.waiting import wait_until


def test_a_killed_pool_process_does_not_take_its_message_along(pair: Pair) -> None:
    ours, other = pair(task_reject_on_worker_lost=None)
    for site in (ours, other):
        site.send("die_once", "a")
        site.send("run", "b")
        site.wait_for("b ends")
    ours.wait_for("a ends")
    assert ours.notes().count("a starts") == 2
    assert other.notes().count("a starts") == 1
    assert "a ends" not in other.notes()
    wait_until(lambda: other.messages() == (0, 0), "the message counts as done")


def test_a_killed_worker_leaves_its_message_in_redis(pair: Pair) -> None:
    ours, other = pair(task_acks_late=None)
    for site in (ours, other):
        site.send("wait", "a")
        site.wait_for("a starts")
        wait_until(lambda site=site: site.messages()[0] == 0, "the message is taken")  # type: ignore[misc]
        os.killpg(site.workers[0].pid, signal.SIGKILL)
        site.workers[0].wait()
    assert ours.messages() == (0, 1)
    assert other.messages() == (0, 0)


def test_a_message_does_not_wait_behind_a_long_task(pair: Pair) -> None:
    ours, other = pair(worker_prefetch_multiplier=None)
    names = list("abcdef")
    for site in (ours, other):
        site.send("wait", "long")
        site.wait_for("long starts")
        site.send("run", *names)
    wait_until(lambda: other.messages() == (3, 4), "messages are held by a busy worker")
    for site in (ours, other):
        site.start_worker()
        site.wait_for_workers()
        site.wait_for("f ends")
    assert ours.ended() == set(names)
    assert other.ended() == {"d", "e", "f"}  # three wait, though a worker has nothing to do


@pytest.mark.parametrize(
    ("hurt", "heal", "says"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OutOfMemoryError"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "ReadOnlyError"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
    ],
    ids=["no memory", "read only", "no replicas"],
)
def test_a_worker_outlives_a_redis_that_refuses_writes(pair: Pair, hurt: str, heal: str, says: str) -> None:
    ours, other = pair(broker_channel_error_retry=None)
    for site in (ours, other):
        site.send("wait", "a")
        site.wait_for("a starts")
        site.send("run", "b")
        site.redis.client.execute_command(hurt)  # type: ignore[no-untyped-call]
        site.open_gate()
    other.workers[0].wait(SECONDS)
    ours.wait_for("a ends")
    wait_until(lambda: says in ours.log(), "the write was refused", SECONDS)
    ours.redis.client.execute_command(heal)  # type: ignore[no-untyped-call]
    ours.send("run", "c")
    ours.wait_for("c ends")
    assert ours.workers[0].poll() is None


def test_what_is_pickled_is_not_unpickled(pair: Pair) -> None:
    ours, other = pair(accept_content=["json", "pickle"])
    for site in (ours, other):
        site.redis.client.lpush("celery", pickled_message(site))
        site.send("run", "after")
        site.wait_for("after ends")
    assert not (ours.folder / "code ran").exists()
    assert (other.folder / "code ran").exists()
    assert ours.messages() == (0, 0)


class Harmful:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def pickled_message(site: Site) -> str:
    """A message as Celery sends it, with a body that is a pickle."""
    body = pickle.dumps(((), {"v": 1, "job_id": Harmful(site.folder / "code ran")}, {}))
    identity = str(uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": "application/x-python-serialize",
            "content-encoding": "binary",
            "headers": {"lang": "py", "task": "run", "id": identity, "root_id": identity},
            "properties": {
                "correlation_id": identity,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "celery"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )


def test_a_task_ends_though_redis_is_gone(pair: Pair) -> None:
    ours, other = pair(worker_cancel_long_running_tasks_on_connection_loss=True)
    for site in (ours, other):
        site.send("wait", "a")
        site.wait_for("a starts")
    (busy,) = psutil.Process(other.workers[0].pid).children()
    for site in (ours, other):
        site.redis.kill()
    wait_until(lambda: not busy.is_running() or busy.status() == "zombie", "the task is cancelled", SECONDS)
    for site in (ours, other):
        site.open_gate()
    ours.wait_for("a ends")
    assert "a ends" not in other.notes()


def test_a_worker_waits_for_a_redis_that_starts_again(pair: Pair) -> None:
    ours, other = pair(broker_connection_max_retries=1)  # by default 100, which takes hours
    for site in (ours, other):
        site.redis.kill()
    other.workers[0].wait(SECONDS)
    for site in (ours, other):
        site.redis.start()
    ours.send("run", "a")
    ours.wait_for("a ends")


def test_a_long_task_is_delivered_once(pair: Pair) -> None:
    ours, other = pair({"unacked_restore_interval": 1}, visibility_timeout=1)
    for site in (ours, other):
        site.send("wait", "a")
        site.start_worker(unacked_restore_interval=1)
        site.wait_for_workers()
    other.wait_for("a starts", 2)
    assert ours.notes().count("a starts") == 1


@pytest.mark.faults
def test_messages_of_a_killed_worker_come_back_at_the_first_sweep(pair: Pair) -> None:
    soon = {"visibility_timeout": 30}  # later than the sweep that each worker makes when it starts
    ours, other = pair(soon, unacked_restore_throttle=None)
    for site in (ours, other):
        site.send("wait", "a")
        site.wait_for("a starts")
        os.killpg(site.workers[0].pid, signal.SIGKILL)
        site.workers[0].wait()
    ours.start_worker(**soon)
    other.start_worker(**soon, unacked_restore_throttle=None)
    ours.wait_for("a starts", 2, 120)  # the other looks at every tenth beat only
    assert other.notes().count("worker ready") == 2
    assert other.notes().count("a starts") == 1


@pytest.mark.faults
def test_a_task_may_end_though_the_worker_must_hurry(pair: Pair) -> None:
    ours, other = pair(worker_soft_shutdown_timeout=None)
    for site in (ours, other):
        site.send("wait", "a")
        wait_until(lambda site=site: is_active(site), "the worker knows that it runs", SECONDS)  # type: ignore[misc]
        site.workers[0].send_signal(signal.SIGQUIT)
    other.workers[0].wait(SECONDS)
    wait_until(lambda: "Soft Shutdown" in ours.log(), "the worker holds back", SECONDS)
    for site in (ours, other):
        site.open_gate()
        site.workers[0].wait(SECONDS)
    assert "a ends" in ours.notes()
    assert "a ends" not in other.notes()


def is_active(site: Site) -> bool:
    """Whether the worker knows of a task that runs."""
    with Celery(broker=site.redis.url, set_as_current=False) as app:
        return any((app.control.inspect(timeout=1).active() or {}).values())
