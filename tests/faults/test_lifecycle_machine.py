"""Hypothesis drives the life of jobs through hostile histories, on SQLite and on Postgres."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from base.database import Database
from base.database.tables import metadata
from base.files import Files
from base.settings import Settings
from tests.builders import LEASE_SECONDS
from tests.conftest import Clock
from tests.faults.lifecycle_machine import MAX_ATTEMPTS, LifecycleMachine

HISTORIES = {"sqlite": 20, "postgres": 10}
STEPS = 15


# Half a minute on an idle machine, minutes on a busy one; what is cut off looks like a flaky history.
@pytest.mark.timeout(900)
def test_no_history_loses_or_doubles_anything(database: Database, clock: Clock, tmp_path: Path) -> None:
    kept = Settings(data_dir=tmp_path, lease_seconds=LEASE_SECONDS, max_attempts=MAX_ATTEMPTS)

    class Machine(LifecycleMachine):
        def __init__(self) -> None:
            with database.writing() as connection:
                for table in reversed(metadata.sorted_tables):
                    connection.execute(table.delete())
            super().__init__()

    Machine.database, Machine.clock = database, clock
    Machine.settings, Machine.files = kept, Files(tmp_path)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=HISTORIES["sqlite" if database.is_sqlite else "postgres"],
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # a history is replayed by its seeds; making it shorter takes minutes
        ),
    )
