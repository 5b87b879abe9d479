"""The short form of `make chaos`: half a minute of faults on real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run

SECONDS = 25
SEED = 1


@pytest.mark.timeout(300)
def test_half_a_minute_of_faults_breaks_no_promise(trained: Path) -> None:
    report = run(trained, SECONDS, SEED, pause_seconds=1.0)
    assert report.jobs > 0
    assert len(report.faults) >= 8, str(report)
    assert not report.violations, str(report)
