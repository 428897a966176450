"""Keepers of subscriptions that need no service."""

from collections.abc import Sequence

from pointsman.contracts.recovery import HookState
from pointsman.ports import Rejected


class QuietKeeper:
    """Knows of no trouble but what it is given; `replaced` says what it was asked to repair."""

    def __init__(self, *troubled: HookState) -> None:
        self.troubled = list(troubled)
        self.replaced: list[HookState] = []

    async def look(self, organisation: str) -> tuple[Sequence[HookState], int]:
        return [one for one in self.troubled if one.organisation == organisation], 5

    async def replace(self, state: HookState) -> str:
        self.replaced.append(state)
        self.troubled.remove(state)
        return f"fresh-{len(self.replaced)}"


class RefusedKeeper(QuietKeeper):
    """May not see subscriptions."""

    async def look(self, organisation: str) -> tuple[Sequence[HookState], int]:
        raise Rejected(f"no permission to view subscriptions of {organisation}")
