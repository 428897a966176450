"""Synchronisation on the command line: how it stands."""

from collections.abc import Sequence

from pointsman.config import Settings
from pointsman.contracts.conflicts import Quarantine
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.sync import SyncState
from pointsman.contracts.work_items import WorkItemKey
from pointsman.store.agreements import Agreements
from pointsman.store.conflicts import Quarantines
from pointsman.store.ledger import Ledger
from pointsman.store.reconciliations import Reconciliations
from starter.cli import reconciliation
from starter.cli.call import Call
from starter.cli.context import reading
from starter.cli.errors import ExitCode
from starter.cli.output import Listing, Record, iso
from starter.timeline import wrote

STATES = (
    "organisation",
    "project",
    "items",
    "conflicts",
    "quarantined",
    "in_doubt",
    "newest",
    "trouble",
    "compared",
)
SAID_MAX = 20
"""Items that are named for people of each kind; JSON names all."""


async def status(call: Call, settings: Settings, *, exit_status: bool) -> ExitCode:
    """How each project stands, as our books tell it: nothing is asked of Azure DevOps."""
    async with reading(settings) as store:
        states = await Agreements(store).states()
        found = await Reconciliations(store).latest()
        doubts = await Ledger(store).doubtful()
        held = await Quarantines(store).standing()
    compared = reconciliation.compared(found)
    names = {(state.organisation, state.project): state for state in states}
    places = sorted({*names, *compared})
    rows = [
        _row(names.get(one) or _unknown(one), compared.get(one), _of(doubts, one), _held(held, one)) for one in places
    ]
    call.show(Listing("projects", STATES, rows))
    for quarantine in held[:SAID_MAX]:
        call.out.say(f"in quarantine since {iso(quarantine.at)}: {_item(quarantine.key)}, {quarantine.reason}")
    for one in doubts[:SAID_MAX]:
        call.out.say(
            f"in doubt: {wrote(one)} of {_item(one.key)} on revision {one.base_rev}, intended {iso(one.intended_at)} "
            f"as {one.operation}"
        )
    waiting = sum(state.conflicts + state.quarantined for state in states) + reconciliation.in_trouble(found)
    return ExitCode.FINDINGS if waiting and exit_status else ExitCode.OK


def _unknown(place: tuple[str, str]) -> SyncState:
    return SyncState(organisation=place[0], project=place[1])


def _of(doubts: Sequence[WriteRecord], place: tuple[str, str]) -> list[Record]:
    return [
        {
            "item": _item(one.key),
            "operation": one.operation,
            "writes": wrote(one),
            "base_rev": one.base_rev,
            "intended": one.intended_at,
        }
        for one in doubts
        if (one.key.organisation, one.key.project) == place
    ]


def _held(held: Sequence[Quarantine], place: tuple[str, str]) -> list[Record]:
    return [
        {"item": _item(one.key), "since": one.at, "writes": one.writes, "reason": one.reason}
        for one in held
        if (one.key.organisation, one.key.project) == place
    ]


def _item(key: WorkItemKey) -> str:
    return f"{key.organisation}/{key.id}"


def _row(state: SyncState, compared: Record | None, doubts: list[Record], held: list[Record]) -> Record:
    return {
        "organisation": state.organisation,
        "project": state.project,
        "items": state.items,
        "conflicts": state.conflicts,
        "quarantined": state.quarantined,
        "in_doubt": state.in_doubt,
        "newest": state.newest_at,
        "trouble": compared["trouble"] if compared else None,
        "compared": compared["compared"] if compared else None,
        "comparison": compared,
        "doubts": doubts,
        "quarantines": held,
    }
