"""attempts that do not count, and who holds a step"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("chunks", sa.Column("excused", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("step_excused", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("step_worker", sa.String(length=128), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "step_worker")
    op.drop_column("jobs", "step_excused")
    op.drop_column("chunks", "excused")
