"""boto3's clients of Bedrock, made when first asked for: that reads 2 MB of service models, in the asking thread."""

from collections.abc import Callable
from threading import Lock
from typing import Any, Literal

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from pointsman.llm.providers.bedrock.connections import Connections
from pointsman.llm.providers.bedrock.credentials import AwsCredentials

Service = Literal["bedrock-runtime", "bedrock"]


class Services:
    """Of one region under one set of credentials. `base_url` serves both, models and their lists."""

    def __init__(
        self, credentials: AwsCredentials | None, region: str, base_url: str | None, connections: Connections
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._base_url = base_url
        self._connections = connections
        self._lock = Lock()
        self._session: boto3.Session | None = None
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
        self._session = self._session or self._signing()
        config = Config(retries={"total_max_attempts": 1})  # one owner of retries, and it is not the SDK
        if self._credentials is not None:
            # Said here it stands above a bearer token in the environment, which is somebody else's.
            config = config.merge(Config(signature_version="v4"))
        client: BaseClient = self._session.client(service, endpoint_url=self._base_url, config=config)
        client.meta.events.register(f"before-send.{service}", self._connections.send)
        return client

    def _signing(self) -> boto3.Session:
        given = self._credentials
        if given is None:
            return boto3.Session(region_name=self._region)
        return boto3.Session(
            aws_access_key_id=given.access_key_id,
            aws_secret_access_key=given.secret_access_key.get_secret_value(),
            aws_session_token=given.session_token.get_secret_value() if given.session_token else None,
            region_name=self._region,
        )
