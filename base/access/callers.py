"""Who sent a request, and what that allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from base.database.tables import EVERYBODY


class Role(StrEnum):
    """What a key may do; each may do what those before it may."""

    READ = "read"  # look: own jobs and their results, models
    SUBMIT = "submit"  # whatever changes or costs something: jobs, predictions
    ADMIN = "admin"  # the same for the jobs of all owners

    def includes(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request. ``key_id`` is empty for those who have no stored key.

    The limits are for all that the owner has at once; None: what the settings say.
    """

    owner: str
    role: Role
    key_id: str = ""
    max_open_jobs: int | None = None
    max_stored_bytes: int | None = None
    by_link: bool = False  # somebody who was given a link, and need not be the owner

    @property
    def scope(self) -> str:
        """Whose rows the caller may see, as :func:`base.database.tables.owned` takes it."""
        return EVERYBODY if self.role is Role.ADMIN else self.owner


# Everybody, while no keys are asked for.
LOCAL = Caller(owner="local", role=Role.ADMIN)
