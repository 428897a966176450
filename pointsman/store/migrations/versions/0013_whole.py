"""Violations of a project as a whole beside those of its items."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

TABLE, STANDING_INDEX = "process_violation", "uq_process_violation_standing"
STANDING = sa.text("closed_at IS NULL")
OF_ITEMS = ["organisation", "item_id", "check_id", "update_number"]


def upgrade() -> None:
    for name in ("whole", "about"):
        op.add_column(TABLE, sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    _index([*OF_ITEMS, "whole", "about"])


def downgrade() -> None:
    op.execute(f"DELETE FROM {TABLE} WHERE item_id = 0")  # noqa: S608 - nothing of it comes from outside
    _index(OF_ITEMS)
    for name in ("whole", "about"):
        op.drop_column(TABLE, name)


def _index(columns: list[str]) -> None:
    op.drop_index(STANDING_INDEX, table_name=TABLE)
    op.create_index(STANDING_INDEX, TABLE, columns, unique=True, sqlite_where=STANDING, postgresql_where=STANDING)
