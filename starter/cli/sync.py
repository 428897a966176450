"""Synchronisation on the command line: how it stands."""

from pointsman.config import Settings
from pointsman.contracts.sync import SyncState
from pointsman.store.agreements import Agreements
from pointsman.store.reconciliations import Reconciliations
from starter.cli import reconciliation
from starter.cli.call import Call
from starter.cli.context import reading
from starter.cli.errors import ExitCode
from starter.cli.output import Listing, Record

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


async def status(call: Call, settings: Settings, *, exit_status: bool) -> ExitCode:
    """How each project stands, as our books tell it: nothing is asked of Azure DevOps."""
    async with reading(settings) as store:
        states = await Agreements(store).states()
        found = await Reconciliations(store).latest()
    compared = reconciliation.compared(found)
    names = {(state.organisation, state.project): state for state in states}
    rows = [_row(names.get(place) or _unknown(place), compared.get(place)) for place in sorted({*names, *compared})]
    call.show(Listing("projects", STATES, rows))
    waiting = sum(state.conflicts + state.quarantined for state in states) + reconciliation.in_trouble(found)
    return ExitCode.FINDINGS if waiting and exit_status else ExitCode.OK


def _unknown(place: tuple[str, str]) -> SyncState:
    return SyncState(organisation=place[0], project=place[1])


def _row(state: SyncState, compared: Record | None) -> Record:
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
    }
