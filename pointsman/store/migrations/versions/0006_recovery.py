"""How far the streams of each project have been read, and which events were recovered from them."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    return None


def downgrade() -> None:
    return None
