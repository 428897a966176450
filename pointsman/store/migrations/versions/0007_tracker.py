"""What was read of Azure DevOps and may be used again, and how fast an account may ask."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

TEXT = sa.Text()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "tracker_pace",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_tracker_pace"),
    )
    op.create_table(
        "tracker_lease",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("urgent", "bulk", "places")),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "holder", name="pk_tracker_lease"),
    )
    op.create_table(
        "tracker_answer",
        *(sa.Column(name, TEXT, nullable=False) for name in ("scope", "kind", "name")),
        sa.Column("rev", NUMBER, nullable=False),
        sa.Column("read_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("scope", "kind", "name", name="pk_tracker_answer"),
    )
    op.create_index("ix_tracker_answer_expires_at", "tracker_answer", ["expires_at"])


def downgrade() -> None:
    for table in ("tracker_answer", "tracker_lease", "tracker_pace"):
        op.drop_table(table)
