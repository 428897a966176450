"""Which rules belong to a process."""

from collections.abc import Mapping

from pointsman.contracts.process import ProcessPolicy


def rules_for(known: Mapping[str, ProcessPolicy], process: str) -> ProcessPolicy | None:
    """The first that are meant for the process of this name."""
    wanted = process.casefold()
    return next((one for one in known.values() if wanted in {name.casefold() for name in one.processes}), None)
