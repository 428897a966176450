"""How far the streams of each project have been read, what came of each recovery, when Pointsman was last alive, and
which events came back by themselves and which were recovered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("recovered_from", TEXT, nullable=False, server_default=sa.text("''")))
    op.create_table(
        "recovery_watermark",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "project", name="pk_recovery_watermark"),
    )
    op.create_table(
        "recovery",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_recovery"),
        sa.UniqueConstraint("workflow_id", "run_id", name="uq_recovery_workflow_id_run_id"),
    )
    op.create_table(
        "heartbeat",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_heartbeat"),
    )
    op.create_table(
        "hook_state",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("subscription_id", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "subscription_id", name="pk_hook_state"),
    )


def downgrade() -> None:
    for table in ("hook_state", "heartbeat", "recovery", "recovery_watermark"):
        op.drop_table(table)
    op.drop_column("inbox", "recovered_from")
