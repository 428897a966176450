"""Work that the service does after it has answered: making and removing projects."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from pointsman.clients.azure_devops.answers_policies import Operation
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.ports import Rejected, Unavailable

PAUSE = timedelta(seconds=2)
LOOKS_MAX = 60


class OperationsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, operation_id: str) -> Operation:
        return await self._connection.call(Operation, "GET", f"_apis/operations/{segment(operation_id)}")

    async def done(
        self,
        operation: Operation,
        sleep: Callable[[float], Awaitable[None]],
        *,
        pause: timedelta = PAUSE,
        looks_max: int = LOOKS_MAX,
    ) -> Operation:
        """Look until it has succeeded, at most `looks_max` times, with a pause before each look. `sleep` takes seconds.

        Raises:
            Rejected: it failed or was cancelled; nothing more will become of it.
            Unavailable: it is still under way; looking again later can help, starting it again cannot.
        """
        for _ in range(looks_max):
            if operation.is_over:
                break
            await sleep(pause.total_seconds())
            operation = await self.get(operation.id)
        what = f"operation {operation.id} is {operation.status or 'not begun'}"
        if not operation.is_over:
            raise Unavailable(
                f"{what} after {looks_max} looks; it goes on without us: look again, do not start it again"
            )
        if operation.status != "succeeded":
            why = operation.detailed_message or operation.result_message or "no reason given"
            raise Rejected(f"{what}: {why}; part of its work may be done", code=operation.status)
        return operation
