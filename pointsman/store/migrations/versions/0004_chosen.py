"""Whose model was asked, and why that one: kept with each attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("attempt", sa.Column("provider", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("attempt", sa.Column("rationale", sa.Text(), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    op.drop_column("attempt", "rationale")
    op.drop_column("attempt", "provider")
