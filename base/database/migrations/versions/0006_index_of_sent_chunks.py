"""an index of the few chunks that were sent"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    sent = sa.text("sent_at IS NOT NULL")
    columns = ["job_id", "status"]
    op.create_index("ix_chunks_sent", "chunks", columns, sqlite_where=sent, postgresql_where=sent)


def downgrade() -> None:
    op.drop_index("ix_chunks_sent", "chunks")
