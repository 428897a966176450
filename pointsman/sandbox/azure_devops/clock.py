"""Moments as the service writes them."""

from datetime import UTC, datetime, timedelta

NEVER = "9999-01-01T00:00:00Z"


def iso(moment: datetime) -> str:
    """Milliseconds without trailing zeros, as in the fields of a work item."""
    fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}Z" if fraction else "Z")


def ticks() -> str:
    """The current moment with seven digits of fraction, as in the envelope of a delivery."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


class Clock:
    """Never says the same millisecond twice, so that dates order revisions."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> str:
        moment = datetime.now(UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        self._last = max(moment, self._last + timedelta(milliseconds=1))
        return iso(self._last)
