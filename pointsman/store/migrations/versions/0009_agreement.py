"""What both sides last agreed on, and where they differ."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    return None


def downgrade() -> None:
    return None
