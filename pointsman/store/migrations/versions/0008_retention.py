"""Which budget a call named, beside whom it was for: sums of the ledger are told by it, too."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("llm_ledger", sa.Column("budget", sa.Text(), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    op.drop_column("llm_ledger", "budget")
