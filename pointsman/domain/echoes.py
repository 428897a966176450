"""Is an update that comes in the echo of a write of ours? The write ledger is asked, not the actor alone.

A human may use our account, and our account may be the one that a rule of the service acts under; so an echo needs
a ledger row, and every field that changed must carry the value that we wrote.
"""

import re
from collections.abc import Mapping, Sequence
from html import unescape

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord

# Fields that move with every save; they say nothing about who meant what.
NOISE = frozenset(
    {
        "System.Rev",
        "System.AuthorizedDate",
        "System.AuthorizedAs",
        "System.RevisedDate",
        "System.ChangedDate",
        "System.ChangedBy",
        "System.PersonId",
        "System.Watermark",
        "System.CommentCount",
        "System.BoardColumn",
        "System.BoardColumnDone",
        "System.BoardLane",
    }
)
# Fields that the service sets by itself when a state changes: they follow from our write and are not ours.
FOLLOWS_STATE = re.compile(
    r"System\.Reason$|Microsoft\.VSTS\.Common\.(StateChangeDate|(Activated|Resolved|Closed)\w+)$"
)
BOARD = re.compile(r"WEF_[0-9A-F]+_(System\.ExtensionMarker|Kanban\..*)$", re.IGNORECASE)


def is_noise(field: str) -> bool:
    return field in NOISE or BOARD.match(field) is not None


def echo_of(writes: Sequence[WriteRecord], rev: int, changed: Mapping[str, tuple[Json, Json]]) -> WriteRecord | None:
    """The write that the update repeats, or None.

    `writes` are the ledger's rows of the item, `rev` is the revision after the update, `changed` its fields as
    (old, new). A row without result counts too where the revision is the next one: the webhook may be faster
    than the answer to our PATCH.
    """
    return next((write for write in writes if _made(write, rev) and explains(write.values, changed)), None)


def _made(write: WriteRecord, rev: int) -> bool:
    if write.status == "written":
        return write.rev == rev
    return write.status == "intended" and rev > write.base_rev


def explains(values: Mapping[str, Json], changed: Mapping[str, tuple[Json, Json]]) -> bool:
    """Whether writing `values` accounts for every change that somebody meant."""
    meant = {field: value for field, value in changed.items() if not is_noise(field)}
    if "System.State" in values:
        meant = {field: value for field, value in meant.items() if field in values or not FOLLOWS_STATE.match(field)}
    return bool(meant) and all(
        field in values and same_value(field, values[field], old, new) for field, (old, new) in meant.items()
    )


def same_value(field: str, ours: Json, old: Json, new: Json) -> bool:
    """Whether `new` is what writing `ours` over `old` leads to, after what the service normalises."""
    if field == "System.Tags":
        # Writing tags adds them, so the whole list comes back.
        return tags_of(new) == tags_of(old) | tags_of(ours)
    return normal(ours) == normal(new)


def tags_of(value: Json) -> frozenset[str]:
    """Tags of a `; `-joined list, case-folded."""
    return frozenset(tag.strip().casefold() for tag in str(value or "").split(";") if tag.strip())


def normal(value: Json) -> Json:
    """A value as it compares: identities by unique name, HTML by its text, numbers by value, empty as None."""
    if isinstance(value, dict):
        return normal(value.get("uniqueName") or value.get("displayName"))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        identity = re.fullmatch(r".*<([^<>\s]+@[^<>\s]+)>", value.strip())
        return identity[1].casefold() if identity else _text(value) or None
    return value


def _text(value: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<!--.*?-->|<[^>]*>", " ", value, flags=re.DOTALL))).strip()
