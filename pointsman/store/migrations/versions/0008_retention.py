"""When rows of the model service's books may go."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    return None


def downgrade() -> None:
    return None
