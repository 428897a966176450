"""Which gaps were named, so that each is counted once: several recoveries find the same one while it is there.

A gap is told by its name and by when it began. One that lasts goes when a recovery of the same project misses it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.contracts.recovery import RecoverResult, Unrecovered
from pointsman.store.tables import RecoveryGap, col


def told_apart(session: Session, result: RecoverResult) -> RecoverResult:
    """The result with what an earlier recovery named under `standing`, and no longer counted."""
    rows = _rows(session, result.organisation)
    standing = tuple(one for one in result.tally.unrecovered if _named(rows, one))
    changed = {
        "unrecovered": tuple(one for one in result.tally.unrecovered if one not in standing),
        "unrecovered_count": result.tally.unrecovered_count - len(standing),
        "standing": standing,
    }
    return result.model_copy(update={"tally": result.tally.model_copy(update=changed)})


def keep(session: Session, result: RecoverResult) -> None:
    """Keep what was found, and forget what lasted and is over. `result` has come through `told_apart`."""
    found = (*result.tally.unrecovered, *result.tally.standing)
    lasting = {_name(one) for one in found if one.lasts}
    rows = _rows(session, result.organisation)
    is_whole = result.tally.unrecovered_count == len(result.tally.unrecovered)  # a list cut short tells of no end
    for row in rows:
        if is_whole and row.lasts and row.project == result.project and row.gap not in lasting:
            session.delete(row)
    session.flush()
    for one in found:
        _keep(session, result, one)


def _keep(session: Session, result: RecoverResult, one: Unrecovered) -> None:
    key = (result.organisation, _name(one), _since(one))
    if row := session.get(RecoveryGap, key):
        row.lasts, row.project = one.lasts, result.project
        return
    organisation, gap, since = key
    session.add(
        RecoveryGap(
            organisation=organisation,
            gap=gap,
            since=since,
            tenant=result.tenant,
            project=result.project,
            lasts=one.lasts,
            at=datetime.now(UTC),
        )
    )
    session.flush()


def _named(rows: Sequence[RecoveryGap], one: Unrecovered) -> bool:
    """What lasted may be found with another beginning: its first failure may have become too old to be kept, or it is
    over and its beginning is known only now. What began after it was named is another one."""
    return any(
        row.gap == _name(one)
        and (row.since == _since(one) or (row.lasts and (one.since is None or one.since <= row.at)))
        for row in rows
    )


def _rows(session: Session, organisation: str) -> Sequence[RecoveryGap]:
    return session.scalars(select(RecoveryGap).where(col(RecoveryGap.organisation) == organisation)).all()


def _name(one: Unrecovered) -> str:
    return one.gap or f"{one.what}: {one.reason}"


def _since(one: Unrecovered) -> str:
    return one.since.astimezone(UTC).isoformat() if one.since else ""
