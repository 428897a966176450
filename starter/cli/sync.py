"""Synchronisation on the command line: how it stands."""

from pointsman.config import Settings
from pointsman.contracts.sync import SyncState
from pointsman.store.agreements import Agreements
from starter.cli.call import Call
from starter.cli.context import reading
from starter.cli.errors import ExitCode
from starter.cli.output import Listing, Record

STATES = ("organisation", "project", "items", "conflicts", "quarantined", "in_doubt", "newest")


async def status(call: Call, settings: Settings, *, exit_status: bool) -> ExitCode:
    """How each project stands, as our books tell it: nothing is asked of Azure DevOps."""
    async with reading(settings) as store:
        states = await Agreements(store).states()
    call.show(Listing("projects", STATES, [_row(state) for state in states]))
    waiting = sum(state.conflicts + state.quarantined for state in states)
    return ExitCode.FINDINGS if waiting and exit_status else ExitCode.OK


def _row(state: SyncState) -> Record:
    return {
        "organisation": state.organisation,
        "project": state.project,
        "items": state.items,
        "conflicts": state.conflicts,
        "quarantined": state.quarantined,
        "in_doubt": state.in_doubt,
        "newest": state.newest_at,
    }
