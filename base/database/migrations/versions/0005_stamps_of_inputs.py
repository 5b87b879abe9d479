"""size and time of change of stored inputs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("inputs", sa.Column("stamps", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("inputs", "stamps")
