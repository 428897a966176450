"""The traceability matrix."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

TEXT = sa.Text()
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _table(
        "matrix_reading",
        ("organisation", "project"),
        *_texts("organisation", "project", "tenant", "body"),
        sa.Column("at", MOMENT, nullable=False),
    )
    _table(
        "matrix_item",
        ("organisation", "item_id"),
        *_texts("organisation", "project", "kind", "state", "title"),
        sa.Column("item_id", NUMBER, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("rev", "generation")),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("is_deleted", "code_read")),
    )
    op.create_index("ix_matrix_item_project", "matrix_item", ["organisation", "project", "item_id"])
    op.create_index("ix_matrix_item_unread", "matrix_item", ["organisation", "code_read", "item_id"])
    _table(
        "matrix_link",
        ("organisation", "source_id", "kind", "target_id"),
        *_texts("organisation", "kind", "project"),
        *(sa.Column(name, NUMBER, nullable=False) for name in ("source_id", "target_id")),
        sa.Column("generation", sa.Integer(), nullable=False),
    )
    op.create_index("ix_matrix_link_target", "matrix_link", ["organisation", "target_id", "kind"])
    _table(
        "matrix_code",
        ("organisation", "item_id", "kind", "name"),
        *_texts("organisation", "kind", "name", "place"),
        sa.Column("item_id", NUMBER, nullable=False),
    )
    op.create_index("ix_matrix_code_name", "matrix_code", ["organisation", "kind", "name"])
    _table(
        "matrix_proof",
        ("organisation", "kind", "name"),
        *_texts("organisation", "kind", "name", "project", "body"),
        sa.Column("is_over", sa.Boolean(), nullable=False),
    )
    _table(
        "matrix_commit",
        ("organisation", "commit_id", "kind", "name"),
        *_texts("organisation", "commit_id", "kind", "name"),
    )
    op.create_index("ix_matrix_commit_name", "matrix_commit", ["organisation", "kind", "name"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _table(name: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def downgrade() -> None:
    for name in ("commit", "proof", "code", "link", "item", "reading"):
        op.drop_table(f"matrix_{name}")
