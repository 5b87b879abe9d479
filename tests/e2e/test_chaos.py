"""The short form of `make chaos`: half a minute of faults on real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run


@pytest.mark.timeout(400)
def test_half_a_minute_of_faults_breaks_no_promise(trained: Path) -> None:
    report = run(trained, Plan(seconds=25, seed=1, pause_seconds=1.0))
    assert report.history.jobs
    assert report.history.predictions
    assert len(report.faults) >= 8, str(report)
    assert not report.violations, str(report)
