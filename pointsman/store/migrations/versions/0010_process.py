"""Violations of process rules, and the links that prove a requirement."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    return None


def downgrade() -> None:
    return None
