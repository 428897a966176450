"""Is an update that comes in the echo of a write of ours? The write ledger is asked, not the actor alone.

A human may use our account, and our account may be the one that a rule of the service acts under; so an echo needs
a ledger row, and no field may carry another value than the one that we wrote.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord
from pointsman.domain.markup import flat

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
        # These follow from links, which are told and compared as what they are.
        "System.Parent",
        "System.RelatedLinkCount",
        "System.ExternalLinkCount",
        "System.HyperLinkCount",
        "System.RemoteLinkCount",
        "System.AttachedFileCount",
    }
)
# Fields that the service sets by itself when a state changes: they follow from our write and are not ours.
FOLLOWS_STATE = re.compile(
    r"System\.Reason$|Microsoft\.VSTS\.Common\.(StateChangeDate|(Activated|Resolved|Closed)\w+)$"
)
# Where the card of an item is on boards: a move that means something changes its state, too.
BOARD = re.compile(
    r"System\.Board(Column|ColumnDone|Lane)$|WEF_[0-9A-F]+_(System\.ExtensionMarker|Kanban\..*)$", re.IGNORECASE
)
NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
# What tells an account from other words: the @ of a mail address, the \ of a domain, the : of an id.
UNIQUE = re.compile(r"[^<>\s@\\:]*[@\\:][^<>\s]*")
PERSON = re.compile(rf"(?P<display>[^<>\n]*)<(?P<unique>{UNIQUE.pattern})>")
# The service keeps times in steps of 3.33 ms (SQL Server's `datetime`), so what comes back is a little off.
DATE_STEP = timedelta(milliseconds=10)

OUR_WRITE = "our write "


def is_noise(field: str) -> bool:
    return field in NOISE or is_board(field)


def is_board(field: str) -> bool:
    return BOARD.match(field) is not None


def echo_of(writes: Sequence[WriteRecord], rev: int, changed: Mapping[str, tuple[Json, Json]]) -> WriteRecord | None:
    """The write that the update repeats, or None.

    `writes` are the ledger's rows of the item, `rev` is the revision after the update, `changed` its fields as
    (old, new). The revision that our PATCH is known to have made holds nobody else's changes, so there fields that
    we did not write were set by rules of the service. A row in doubt counts where no write is known to have made the
    revision, and it is a later one: then every change must be ours. That is one without result, because the webhook
    may be faster than the answer to our PATCH, and one that was given up, because an answer that says no may be about
    a write that was carried out.
    """
    made = [write for write in writes if not is_in_doubt(write) and write.rev == rev and is_of_fields(write)]
    doubtful = (write for write in reversed(writes) if is_in_doubt(write) and rev > write.base_rev and not made)
    return next((write for write in made if explains(write.values, _ours(write, changed))), None) or next(
        (write for write in doubtful if explains(write.values, changed)), None
    )


def _ours(write: WriteRecord, changed: Mapping[str, tuple[Json, Json]]) -> dict[str, tuple[Json, Json]]:
    return {field: change for field, change in changed.items() if field in write.values}


def told(operation: str) -> str:
    """Why a delivery is an echo, as its row says it."""
    return f"{OUR_WRITE}{operation}"


def write_told(reason: str) -> str:
    """The operation that `told` was given; empty for any other reason."""
    return reason.removeprefix(OUR_WRITE) if reason.startswith(OUR_WRITE) else ""


def is_in_doubt(write: WriteRecord) -> bool:
    """Nobody knows for certain whether it was carried out."""
    return write.status != "written"


def is_of_fields(write: WriteRecord) -> bool:
    """Whether it makes a revision. Of links alone it need not: then its `rev` is that of somebody else's write."""
    return any(not name.startswith("+") for name in write.values)


def proves(write: WriteRecord, changed: Mapping[str, tuple[Json, Json]]) -> bool:
    """Whether the echo of a write in doubt proves that it was carried out: all that it would write is in there.

    A PATCH is one revision, so a part of it is no proof: somebody may have set that field to the same value. Names
    that begin with `+` are no fields: links, for one, which move no revision.
    """
    return {name for name in write.values if not name.startswith("+")} <= changed.keys()


def is_another(actor: str, account: str) -> bool:
    """Whether both have a unique name, and not the same. A display name tells nothing: several may share it."""
    who, ours = _person(actor)[0], _person(account)[0]
    return bool(who and ours) and who != ours


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
        if isinstance(ours, list):  # they took the place of all that stood
            return tags_of(new) == tags_of("; ".join(map(str, ours)))
        # Writing tags adds them, so the whole list comes back.
        return tags_of(new) == tags_of(old) | tags_of(ours)
    return alike(ours, new)


def tags_of(value: Json) -> frozenset[str]:
    """Tags of a `; `-joined list, case-folded. The service splits at commas too: no tag holds one."""
    return frozenset(tag.strip().casefold() for tag in re.split("[;,]", str(value or "")) if tag.strip())


def alike(left: Json, right: Json) -> bool:
    """Whether the service may have made one of the other: as `equal`, or the same person, or the same text."""
    if equal(left, right):
        return True
    texts = isinstance(left, str) and isinstance(right, str)
    if texts and (_person(left)[0] or _person(right)[0]) and _same_person(left, right):
        return True
    return _words(left) is not None and _words(left) == _words(right)


def equal(left: Json, right: Json) -> bool:
    """Whether both say the same to a reader of the field, however the service spells it.

    Numbers and truth values may be text, empty is as good as absent, an identity is its unique name, and a moment
    has many notations. Markup counts: a link that leads elsewhere is another value.
    """
    if isinstance(left, dict) or isinstance(right, dict):
        return left == right or _same_person(left, right)
    left, right = _spaced(left), _spaced(right)
    return left == right or _same_scalar(left, right) or _same_moment(left, right)


def _spaced(value: Json) -> Json:
    return (" ".join(value.split()) or None) if isinstance(value, str) else value


def _same_scalar(left: Json, right: Json) -> bool:
    """A number and its text, a truth value and its text. Two texts are not compared as numbers: 1.10 is not 1.1."""
    if isinstance(left, str):
        left, right = right, left
    if not isinstance(right, str):
        return False
    if isinstance(left, bool):
        return right.casefold() == str(left).casefold()
    if not isinstance(left, int | float) or NUMBER.fullmatch(right) is None:
        return False
    return left == (float(right) if "." in right else int(right))


def _same_moment(left: Json, right: Json) -> bool:
    first, second = _moment(left), _moment(right)
    return first is not None and second is not None and abs(first - second) < DATE_STEP


def _moment(value: Json) -> datetime | None:
    if not isinstance(value, str) or DATE.fullmatch(value) is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _same_person(left: Json, right: Json) -> bool:
    """Unique names decide where both have one; `Ada`, `Ada <ada@x.org>` and an identity object may be the same."""
    (first, display), (second, other) = _person(left), _person(right)
    if first and second:
        return first == second
    return bool({first, display} & {second, other} - {""})


def _person(value: Json) -> tuple[str, str]:
    """(unique name, display name), case-folded, empty where it has none. A bare text may be either."""
    if isinstance(value, dict):
        unique, display = _person(value.get("displayName"))
        given = value.get("uniqueName")
        return _person(given)[0] or _name(given) or unique, display
    text = _name(value)
    told = PERSON.fullmatch(text)
    if told is not None:
        return told["unique"], told["display"].strip()
    return (text, "") if UNIQUE.fullmatch(text) else ("", text)


def _name(value: Json) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""


def _words(value: Json) -> str | None:
    """What a reader of HTML sees; empty for what is empty."""
    if value is None:
        return ""
    return flat(value) if isinstance(value, str) else None
