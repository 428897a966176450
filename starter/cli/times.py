"""Times as people write them on the command line."""

from datetime import UTC, datetime

from starter.cli.errors import usage


def moment(told: str, option: str) -> datetime | None:
    """ISO 8601; without a zone it is in UTC. None for nothing."""
    if not told:
        return None
    try:
        read = datetime.fromisoformat(told)
    except ValueError:
        raise usage(f"{told!r} is no time for {option}.", "Write it as 2026-01-05T09:00:00Z.") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
