"""The governance log on disk: a file a day, one line of JSON for each violation, kept for at least 90 days.

Several processes may write into one folder: a line is appended by one write, and files are never renamed.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pointsman.llm.errors import LLMError
from pointsman.llm.governance import LOG

DAYS_MIN = 90
NAME = "governance-{}.jsonl"


class GovernanceLogError(LLMError):
    """The folder cannot be written, or lines would be kept for too short a time."""


class DailyFile(logging.Handler):
    """Appends to the file of the day, by UTC. Files older than `days` go when a new one begins.

    `scrub` takes out of a line what must not be kept, for example secrets.

    Raises:
        GovernanceLogError: at once, not when the first violation is lost.
    """

    def __init__(self, folder: Path, days: int = DAYS_MIN, scrub: Callable[[str], str] = str) -> None:
        super().__init__(logging.NOTSET)
        if days < DAYS_MIN:
            raise GovernanceLogError(
                f"the governance log would be kept for {days} days, the least is {DAYS_MIN}. Nothing was started."
            )
        self.folder = folder
        self._days = days
        self._scrub = scrub
        self._day = date.min
        self._file = -1
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._turn(datetime.now(UTC).date())
        except OSError as error:
            raise GovernanceLogError(
                f"the governance log cannot be written to {str(folder)!r}: {error.strerror}. Nothing was started."
            ) from error

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._turn(datetime.fromtimestamp(record.created, UTC).date())
            os.write(self._file, f"{self._scrub(self.format(record))}\n".encode())
        except OSError:
            self.handleError(record)  # says so on stderr; the request is refused all the same

    def close(self) -> None:
        self.acquire()
        try:
            if self._file >= 0:
                os.close(self._file)
            self._file, self._day = -1, date.min
        finally:
            self.release()
        super().close()

    def _turn(self, day: date) -> None:
        if day == self._day:
            return
        path = self.folder / NAME.format(day.isoformat())
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._day = opened, day
        self._forget(day - timedelta(days=self._days))

    def _forget(self, before: date) -> None:
        first_kept = NAME.format(before.isoformat())
        for path in self.folder.glob(NAME.format("????-??-??")):
            if path.name < first_kept:
                path.unlink(missing_ok=True)  # another process may have been faster


def keep(folder: Path, days: int = DAYS_MIN, scrub: Callable[[str], str] = str) -> DailyFile:
    """From now on violations of this process go there too. A repeated call for a folder replaces the first."""
    handler = DailyFile(folder, days, scrub)
    for earlier in [one for one in LOG.handlers if isinstance(one, DailyFile) and one.folder == folder]:
        LOG.removeHandler(earlier)
        earlier.close()
    LOG.addHandler(handler)
    return handler
