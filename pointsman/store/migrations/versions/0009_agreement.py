"""What both sides last agreed on, where they differ, and what is not written to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "agreement",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("snapshot", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "item_id", name="pk_agreement"),
        sa.ForeignKeyConstraint(["snapshot"], ["content.hash"], name="fk_agreement_snapshot"),
    )
    op.create_index("ix_agreement_organisation_project", "agreement", ["organisation", "project"])
    op.create_table(
        "sync_conflict",
        *_item(),
        sa.Column("field", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_sync_conflict"),
    )
    _standing("sync_conflict", "closed_at IS NULL", "field")
    op.create_index("ix_sync_conflict_organisation_project", "sync_conflict", ["organisation", "project"])
    op.create_table(
        "sync_quarantine",
        *_item(),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("released_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_sync_quarantine"),
    )
    _standing("sync_quarantine", "released_at IS NULL")


def downgrade() -> None:
    op.drop_table("sync_quarantine")
    op.drop_table("sync_conflict")
    op.drop_table("agreement")


def _item() -> tuple[sa.Column[object], ...]:
    """What names a row, and the item that it is about."""
    return (
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
    )


def _standing(table: str, where: str, *more: str) -> None:
    """Of what stands there is one for each item."""
    op.create_index(
        f"uq_{table}_standing",
        table,
        ["organisation", "item_id", *more],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
