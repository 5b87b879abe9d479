"""Which jobs still need a version: asked before it is retired, under the lock that submissions take too."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from base.database.tables import jobs
from jobs.states import FINAL, JobStatus

SHOWN = 3


def unended_jobs(connection: Connection, name: str, version: int) -> list[str]:
    """A sentence about the jobs of all owners that are pinned to the version and have not ended, if any."""
    unended = [status for status in JobStatus if status not in FINAL]
    query = select(jobs.c.id, func.count().over()).where(
        jobs.c.status.in_(unended), jobs.c.model_name == name, jobs.c.model_version == version
    )
    found = connection.execute(query.order_by(jobs.c.id).limit(SHOWN)).all()
    if not found:
        return []
    count = found[0][1]
    shown = ", ".join(row[0] for row in found) + (", …" if count > len(found) else "")
    who = "1 job that uses it has" if count == 1 else f"{count} jobs that use it have"
    return [f"{who} not ended ({shown})"]
