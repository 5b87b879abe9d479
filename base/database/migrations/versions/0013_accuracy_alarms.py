"""Falls of accuracy, and what became of telling them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "accuracy_alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("fell_at", sa.Float(precision=53), nullable=False),
        sa.Column("accuracy", sa.Float(precision=53), nullable=False),
        sa.Column("below", sa.Float(precision=53), nullable=False),
        sa.Column("labelled", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(precision=53), nullable=True),
        sa.Column("caller", sa.String(length=128), nullable=True),
        sa.Column("told_at", sa.Float(precision=53), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accuracy_alarms")),
    )
    op.create_index(
        op.f("ix_accuracy_alarms_model_name_model_version"),
        "accuracy_alarms",
        ["model_name", "model_version"],
    )


def downgrade() -> None:
    op.drop_table("accuracy_alarms")
