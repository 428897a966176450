"""Who hands deliveries over, where several processes could: one of them, for as long as it lives."""

from typing import Protocol


class Lease(Protocol):
    async def held(self) -> bool:
        """Take it, or confirm that we have it. Never raises: whoever cannot be sure does not lead."""

    async def release(self) -> None: ...


class Alone:
    """The only process there is: SQLite's file is locked for it."""

    async def held(self) -> bool:
        return True

    async def release(self) -> None:
        return None
