"""A file that kills whoever plans it, a finish that kills: that job fails with a code, and no other."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from base.processes import this_process
from jobs.caretaker import Caretaker
from jobs.finishing import finish_job
from jobs.planning import plan_job
from jobs.workshop import Workshop
from tests.contract.conftest import Served

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def die(*_arguments: Any, **_named: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process_that_dies_at(
    module: str, name: str, workshop: Workshop, act: Callable[[Workshop], None]
) -> int:
    """Let a process of its own do it, in which a function kills; the signal that ended the process."""
    pid = os.fork()
    if pid == 0:
        setattr(importlib.import_module(module), name, die)
        act(replace(Workshop.open(workshop.settings, worker=this_process()), registry=workshop.registry))
        os._exit(0)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("module", "name", "step"),
    [("jobs.planning", "plan", "planning"), ("jobs.results", "_read_part", "finishing")],
    ids=["planning", "finishing"],
)
def test_a_step_that_kills_fails_its_job_alone(served: Served, module: str, name: str, step: str) -> None:
    job, other = served.submit(), served.submit()
    if step == "finishing":
        served.plan(job)
        served.score(job, 0, 1, 2, 3)
    run = plan_job if step == "planning" else finish_job
    settings = served.workshop.settings
    for _ in range(settings.max_attempts):
        # the message comes again at once, and the next process sees that the one before is dead
        killed = in_a_process_that_dies_at(module, name, served.workshop, lambda shop: run(shop, job["id"]))
        assert killed == signal.SIGKILL
    run(served.workshop, job["id"])
    assert served.job(job)["status"] == step, "it was tried more often than it may be"
    Caretaker(served.workshop).tick()
    failed = served.job(job)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "worker_lost")
    assert str(settings.max_attempts) in failed["error"]["message"]
    assert served.work(other)["status"] == "succeeded"
