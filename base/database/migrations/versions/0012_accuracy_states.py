"""Versions whose accuracy fell below the threshold"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

LABELLED = sa.text("labelled_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "accuracy_states",
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("model_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("is_low", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("model_name", "model_version", name=op.f("pk_accuracy_states")),
    )
    op.create_index(
        "ix_predictions_labelled",
        "predictions",
        ["hour"],
        sqlite_where=LABELLED,
        postgresql_where=LABELLED,
    )


def downgrade() -> None:
    op.drop_index("ix_predictions_labelled", "predictions")
    op.drop_table("accuracy_states")
