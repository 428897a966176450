"""Violations of process rules."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STANDING = "closed_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "process_violation",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("check_id", TEXT, nullable=False),
        sa.Column("update_number", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_process_violation"),
    )
    op.create_index(
        "uq_process_violation_standing",
        "process_violation",
        ["organisation", "item_id", "check_id", "update_number"],
        unique=True,
        sqlite_where=sa.text(STANDING),
        postgresql_where=sa.text(STANDING),
    )
    op.create_index("ix_process_violation_organisation_project", "process_violation", ["organisation", "project"])


def downgrade() -> None:
    op.drop_table("process_violation")
