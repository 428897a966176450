"""Calls of boto3's operations from an event loop: each waits in a thread, and whoever leaves ends its connection."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from pointsman.contracts.base import Json
from pointsman.llm.errors import AuthenticationError, InvalidRequestError
from pointsman.llm.providers.bedrock.connections import Connections, Exchange
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.llm.providers.bedrock.faults import BedrockFaults
from pointsman.llm.providers.bedrock.reply import plain
from pointsman.llm.providers.bedrock.services import Service, Services

PROVIDER = "bedrock"
CALLS_MAX = 128
CONNECT_TIMEOUT = timedelta(seconds=15)

Told = Mapping[str, Json]
Answer = dict[str, Any]


class Calls:
    """Of one region under one set of credentials; None takes those of the AWS chain."""

    def __init__(
        self, credentials: AwsCredentials | None, region: str, base_url: str | None, timeout: timedelta
    ) -> None:
        if credentials is not None and not (credentials.access_key_id and credentials.secrets()):
            raise AuthenticationError("no access key given", provider=PROVIDER)
        if not region:
            raise InvalidRequestError("no AWS region given: set AWS_REGION. Nothing was sent.", provider=PROVIDER)
        self.where = f"region={region!r}, base_url={base_url!r}, timeout={timeout!r}"
        """For a repr: everything but the credentials."""
        self.timeout = timeout
        self.threads = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix=PROVIDER)
        self._secrets: Sequence[str] = credentials.secrets() if credentials else ()
        self._connections = Connections(timeout, CONNECT_TIMEOUT, CALLS_MAX)
        self.services = Services(credentials, region, base_url, self._connections)
        self._exchanges: set[Exchange] = set()
        self._closed = False

    def close(self) -> None:
        """Ends the calls that are under way."""
        self._closed = True
        for exchange in tuple(self._exchanges):
            exchange.end()
        self.threads.shutdown(wait=False)
        self._connections.close()

    async def ask(
        self,
        service: Service,
        operation: str,
        parameters: dict[str, Any],
        model: str,
        read: Callable[[Answer], object] = plain,
    ) -> Told:
        """The answer of an operation, as `read` makes it plain in the thread. Cancelling it closes its connection."""

        def wait() -> object:
            with exchange.current():
                return read(self.services.ask(service, operation, parameters))

        with self.exchange(model) as exchange:
            try:
                answer = await asyncio.get_running_loop().run_in_executor(self.threads, wait)
            except asyncio.CancelledError:
                exchange.end()
                raise
            except Exception as error:
                raise self.faults(model).of_exception(error) from None
        return answer if isinstance(answer, dict) else {}

    @contextmanager
    def exchange(self, model: str) -> Iterator[Exchange]:
        """A call that `close` ends with all others."""
        if self._closed:
            raise self.faults(model).not_reached(ConnectionError("the client is closed"))
        exchange = Exchange()
        self._exchanges.add(exchange)
        try:
            yield exchange
        finally:
            self._exchanges.discard(exchange)

    def faults(self, model: str) -> BedrockFaults:
        return BedrockFaults(PROVIDER, model, (*self._secrets, *self._connections.shown))
