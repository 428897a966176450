"""boto3's clients of Bedrock, made when first asked for, in the asking thread: they read 2 MB of service models.

They come from botocore, which makes them for boto3: boto3's own session would read those models for each key again.
"""

from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Any, Literal

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from pointsman.llm.providers.bedrock.connections import Connections
from pointsman.llm.providers.bedrock.credentials import AwsCredentials

Service = Literal["bedrock-runtime", "bedrock"]


class Services:
    """Of one region under one set of credentials. `base_url` serves both, models and their lists."""

    def __init__(
        self, credentials: AwsCredentials | None, region: str, base_url: str | None, connections: Connections
    ) -> None:
        self._given = credentials
        self._region = region
        self._base_url = base_url
        self._connections = connections
        self._lock = Lock()
        self._session: botocore.session.Session | None = None
        self._clients: dict[Service, BaseClient] = {}

    def ask(self, service: Service, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Call the operation, and wait for its answer."""
        method: Callable[..., dict[str, Any]] = getattr(self._client(service), operation)
        return method(**parameters)

    def _client(self, service: Service) -> BaseClient:
        with self._lock:  # sessions are not for several threads
            if service not in self._clients:
                self._clients[service] = self._made(service)
            return self._clients[service]

    def _made(self, service: Service) -> BaseClient:
        if self._session is None:
            self._session = botocore.session.Session()
            self._session.register_component("data_loader", _loader())
        client = self._session.create_client(
            service, self._region, endpoint_url=self._base_url, config=self._config(), **self._signing()
        )
        client.meta.events.register(
            f"before-send.{service}",
            self._connections.send,  # type: ignore[arg-type]  # its types know no handler that answers
        )
        return client

    def _config(self) -> Config:
        retries = Config(retries={"total_max_attempts": 1})  # one owner of retries, and it is not the SDK
        if self._given is None:
            return retries
        # Said here it stands above a bearer token in the environment, which is somebody else's.
        return retries.merge(Config(signature_version="v4"))

    def _signing(self) -> dict[str, Any]:
        """Nothing where the AWS chain is to be asked."""
        if self._given is None:
            return {}
        token = self._given.session_token
        return {
            "aws_access_key_id": self._given.access_key_id,
            "aws_secret_access_key": self._given.secret_access_key.get_secret_value(),
            **({"aws_session_token": token.get_secret_value()} if token else {}),
        }


@lru_cache(maxsize=1)
def _loader() -> Loader:
    """Service models, read once for all clients."""
    return create_loader()
