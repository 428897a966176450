"""Fewer places to change for every delivery: events are listed by subject when they come into the tree, and what is
due is read in order of arrival."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PENDING = sa.text("state = 'pending'")
ABOUT_AN_ITEM = sa.text("item_id > 0")


def upgrade() -> None:
    op.drop_index("ix_inbox_pending", "inbox")
    op.create_table(
        "audit_subject",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("sequence", NUMBER, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("subject", "sequence", name="pk_audit_subject"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO audit_subject (subject, sequence) "
        "SELECT e.correlation_id, e.sequence FROM audit_event e JOIN audit_leaf l ON l.event_id = e.id "
        "WHERE e.correlation_id <> '' "
        "UNION SELECT e.organisation || '/' || e.item_id, e.sequence FROM audit_event e "
        "JOIN audit_leaf l ON l.event_id = e.id WHERE e.item_id > 0"
    )
    op.drop_index("ix_audit_event_correlation_id_sequence", "audit_event")
    op.drop_index("ix_audit_event_item", "audit_event")


def downgrade() -> None:
    # Contents of the first schema have no checksum of their stored form.
    op.execute(
        "UPDATE content SET encoding = 'zlib', data = substr(data, 1, length(data) - 4) WHERE encoding = 'zlib+crc32'"
    )
    op.create_index(
        "ix_audit_event_item",
        "audit_event",
        ["organisation", "item_id", "sequence"],
        sqlite_where=ABOUT_AN_ITEM,
        postgresql_where=ABOUT_AN_ITEM,
    )
    op.create_index("ix_audit_event_correlation_id_sequence", "audit_event", ["correlation_id", "sequence"])
    op.drop_table("audit_subject")
    op.create_index(
        "ix_inbox_pending",
        "inbox",
        ["organisation", "item_id", "sequence"],
        sqlite_where=PENDING,
        postgresql_where=PENDING,
    )
