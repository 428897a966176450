"""One client of Temporal for a process that may start before Temporal does."""

import asyncio

from temporalio.client import Client
from temporalio.runtime import Runtime

from pointsman import temporal


class Connection:
    """Connects at the first need, and at each need until it succeeds; from then on the SDK reconnects by itself."""

    def __init__(self, address: str = "", namespace: str = "", runtime: Runtime | None = None) -> None:
        self._address = address
        self._namespace = namespace
        self._runtime = runtime
        self._client: Client | None = None
        self._lock = asyncio.Lock()

    async def client(self) -> Client:
        """The client.

        Raises:
            TemporalUnreachable: no server answers, or it refuses us.
        """
        async with self._lock:
            if self._client is None:
                self._client = await temporal.connect(self._address, self._namespace, runtime=self._runtime)
            return self._client
