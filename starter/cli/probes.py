"""What a probe of `pointsman doctor` finds."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Works, but something that one would expect is missing."""
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """`what` is the state with its values; `fix` the command that mends it, empty when nothing is to be mended."""

    status: Status
    what: str
    fix: str = ""


def ok(what: str) -> Finding:
    return Finding(Status.OK, what)


def warn(what: str, fix: str) -> Finding:
    return Finding(Status.WARN, what, fix)


def fail(what: str, fix: str) -> Finding:
    return Finding(Status.FAIL, what, fix)
