"""What each comparison of a project came to, and which items are in the recycle bin, as far as we know."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_reconciliation"),
        sa.UniqueConstraint("workflow_id", "run_id", "project", name="uq_reconciliation_workflow_id_run_id_project"),
    )
    op.create_index("ix_reconciliation_organisation_project", "reconciliation", ["organisation", "project", "sequence"])
    op.create_table(
        "tombstone",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("cleared_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("organisation", "item_id", name="pk_tombstone"),
    )


def downgrade() -> None:
    op.drop_table("tombstone")
    op.drop_table("reconciliation")
