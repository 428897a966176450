"""The books of the model service: a row for each attempt, sums by account, rates by provider, answers that are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

TEXT = sa.Text()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
OPEN = sa.text("state = 'open'")

LEDGER_TEXTS = (
    *("state", "outcome", "accounts", "tenant", "user_id", "session_id", "work_item", "correlation_id"),
    *("source_agent", "provider", "model", "price_version"),
)
LEDGER_NUMBERS = (
    *("reserved_tokens", "reserved_nano_usd", "prompt_tokens", "completion_tokens", "total_tokens"),
    *("cached_tokens", "cache_write_tokens", "reasoning_tokens", "nano_usd"),
)


def upgrade() -> None:
    op.create_table(
        "llm_ledger",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        *(sa.Column(name, TEXT, nullable=False) for name in LEDGER_TEXTS),
        *(sa.Column(name, NUMBER, nullable=False) for name in LEDGER_NUMBERS),
        sa.PrimaryKeyConstraint("id", name="pk_llm_ledger"),
    )
    op.create_index("ix_llm_ledger_at", "llm_ledger", ["at"])
    op.create_index("ix_llm_ledger_open", "llm_ledger", ["expires_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "llm_account",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("reserved_tokens", NUMBER, nullable=False),
        sa.Column("reserved_nano_usd", NUMBER, nullable=False),
        sa.Column("tokens", NUMBER, nullable=False),
        sa.Column("nano_usd", NUMBER, nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("month_tokens", NUMBER, nullable=False),
        sa.Column("month_nano_usd", NUMBER, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("day_tokens", NUMBER, nullable=False),
        sa.Column("day_nano_usd", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("scope", "account", name="pk_llm_account"),
    )
    op.create_table(
        "llm_rate",
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("requests_full_at", MOMENT, nullable=False),
        sa.Column("tokens_full_at", MOMENT, nullable=False),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("provider", name="pk_llm_rate"),
    )
    op.create_table(
        "llm_answer",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_llm_answer"),
    )
    op.create_index("ix_llm_answer_expires_at", "llm_answer", ["expires_at"])


def downgrade() -> None:
    for table in ("llm_answer", "llm_rate", "llm_account", "llm_ledger"):
        op.drop_table(table)
