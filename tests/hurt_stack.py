"""A stack that tests may hurt, with leases so short that nothing takes long to recover."""

from __future__ import annotations

from pathlib import Path

from base.settings import Settings
from rowmill.stack import Stack


def hurt_stack(data_dir: Path, database_url: str, max_attempts: int, redis_url: str = "") -> Stack:
    """A stack without Flower; ``max_attempts`` has to be more than the faults that it will meet."""
    settings = Settings(
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url,
        port=0,
        flower_port=0,
        lease_seconds=2,
        heartbeat_seconds=0.4,
        caretaker_seconds=0.3,
        retry_seconds=0.1,
        max_attempts=max_attempts,
    )
    return Stack(settings, only={"redis", "api", "worker", "caretaker"})
