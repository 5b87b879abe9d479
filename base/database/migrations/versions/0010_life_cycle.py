"""who retired and removed versions; aliases that are taken away or rolled back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("versions", sa.Column("retired_by", sa.String(length=128), nullable=True))
    op.add_column("versions", sa.Column("retired_note", sa.String(length=500), nullable=True))
    op.add_column("versions", sa.Column("removed_at", sa.Float(precision=53), nullable=True))
    op.add_column("versions", sa.Column("removed_by", sa.String(length=128), nullable=True))
    with op.batch_alter_table("alias_moves") as moves:
        moves.alter_column("version", existing_type=sa.Integer(), nullable=True)
        moves.add_column(sa.Column("is_rollback", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM alias_moves WHERE version IS NULL")
    with op.batch_alter_table("alias_moves") as moves:
        moves.drop_column("is_rollback")
        moves.alter_column("version", existing_type=sa.Integer(), nullable=False)
    for column in ("removed_by", "removed_at", "retired_note", "retired_by"):
        op.drop_column("versions", column)
