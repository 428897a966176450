"""Which thing led to which, where no other row says it. What older rows of the other books tell is filled in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
KEY = ("cause", "tenant", "effect", "kind", "evidence", "removed")

# Who wrote is not in rows of before: their workflow is that of the item.
CHANGED = """
INSERT INTO chain_edge (cause, tenant, effect, kind, evidence, removed, at)
SELECT 'write:' || operation, tenant, 'item:' || organisation || '/' || item_id, 'changed', '', false, intended_at
FROM ledger
"""
ASKED = """
INSERT INTO chain_edge (cause, tenant, effect, kind, evidence, removed, at)
SELECT 'escalation:ESC-' || number, tenant, 'item:' || organisation || '/' || item_id, 'about', '', false, opened_at
FROM escalation
"""
REPEATED = """
INSERT INTO chain_edge (cause, tenant, effect, kind, evidence, removed, at)
SELECT 'event:' || duplicate_of, tenant, 'event:' || id, 'repeated', '', false, received_at
FROM inbox WHERE duplicate_of <> ''
"""
WORKED_ON = """
INSERT INTO chain_edge (cause, tenant, effect, kind, evidence, removed, at)
SELECT 'run:' || workflow_id, tenant, 'item:' || organisation || '/' || item_id, 'worked_on', '', false, first_at
FROM work_item WHERE workflow_id <> ''
"""


def upgrade() -> None:
    op.create_table(
        "chain_edge",
        *(sa.Column(name, TEXT, nullable=False) for name in KEY[:-1]),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name="pk_chain_edge"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_chain_edge_effect_tenant", "chain_edge", ["effect", "tenant"])
    for statement in (CHANGED, ASKED, REPEATED, WORKED_ON):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("chain_edge")
