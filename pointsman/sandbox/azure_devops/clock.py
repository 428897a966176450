"""Moments as the service writes them, by a clock that can be moved ahead."""

from datetime import UTC, datetime, timedelta

NEVER = "9999-01-01T00:00:00Z"


def iso(moment: datetime) -> str:
    """Milliseconds without trailing zeros, as in the fields of a work item."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds').rstrip('0').rstrip('.')}Z"


class Clock:
    """Never says the same millisecond twice, so that dates order revisions."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)
        self._ahead = timedelta()

    def moment(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def now(self) -> str:
        moment = self.moment()
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        self._last = max(moment, self._last + timedelta(milliseconds=1))
        return iso(self._last)

    def ticks(self) -> str:
        """The moment with seven digits of fraction, as in the envelope of a delivery."""
        return self.moment().strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"

    def move(self, span: timedelta) -> None:
        """Go ahead. Back it never goes: dates order what happened."""
        assert span >= timedelta(), f"{span} leads back"
        self._ahead += span
