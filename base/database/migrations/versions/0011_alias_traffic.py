"""Splits and shadows of aliases"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "alias_traffic",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("move_id", sa.Integer(), nullable=False),
        sa.Column("traffic", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["move_id"], ["alias_moves.id"], name=op.f("fk_alias_traffic_alias_moves")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_traffic")),
    )
    op.create_index(op.f("ix_alias_traffic_move_id"), "alias_traffic", ["move_id"])


def downgrade() -> None:
    op.drop_table("alias_traffic")
