"""Which event led to which: the chains of an item, and what is known of each event."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    return None


def downgrade() -> None:
    return None
