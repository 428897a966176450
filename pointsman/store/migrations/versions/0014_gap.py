"""Which gaps a recovery has named, so that each is counted once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "recovery_gap",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("gap", TEXT, nullable=False),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("lasts", sa.Boolean(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "gap", "since", name="pk_recovery_gap"),
    )


def downgrade() -> None:
    op.drop_table("recovery_gap")
