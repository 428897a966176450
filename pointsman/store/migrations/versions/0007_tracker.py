"""What was read of Azure DevOps and may be used again, and how fast an account may ask."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    return None


def downgrade() -> None:
    return None
