"""archives have an index of their members"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("inputs", sa.Column("index_file", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column("inputs", "index_file")
