"""Times as people write them on the command line."""

import re
from datetime import UTC, datetime, timedelta

from starter.cli.errors import usage

LENGTH = re.compile(r"([0-9]{1,4})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(told: str, option: str, now: datetime | None = None, *, ahead: bool = False) -> datetime | None:
    """A date or time, ISO 8601 and UTC unless it says otherwise, or how long ago: `90m`, `24h`, `7d`, `4w`. It is how
    long from now with `ahead`. None for nothing.

    Raises:
        CliError: it is neither.
    """
    if not told:
        return None
    if length := LENGTH.fullmatch(told):
        span = timedelta(**{UNITS[length[2]]: int(length[1])})
        return (now or datetime.now(UTC)) + (span if ahead else -span)
    try:
        read = datetime.fromisoformat(told)
    except ValueError:
        raise usage(
            f"{option} {told!r} is no time. Nothing was done.",
            f"Write it as 2026-11-21, 2026-11-21T09:30Z, or how long {'from now' if ahead else 'ago'}, as 24h or 7d.",
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
