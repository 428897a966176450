"""Which rules belong to a process."""

from collections.abc import Mapping

from pointsman.contracts.process import ProcessPolicy


def rules_for(known: Mapping[str, ProcessPolicy], process: str) -> ProcessPolicy | None:
    """The last that are meant for the process of this name: a team's own come behind ours."""
    wanted = process.casefold()
    fitting = [one for one in known.values() if wanted in {name.casefold() for name in one.processes}]
    return fitting[-1] if fitting else None
