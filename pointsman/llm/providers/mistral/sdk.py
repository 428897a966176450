"""The official SDK as every adapter of this package uses it, and what was answered to it, as it came."""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

import httpx2
from mistralai.client import Mistral
from mistralai.client.errors import ResponseValidationError
from mistralai.client.utils import serializers
from pydantic import BaseModel, ConfigDict, SecretStr, create_model

from pointsman.contracts.base import Json
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.providers.mistral.faults import FAILURES, MistralFaults
from pointsman.llm.tls import tls_context

PROVIDER = "mistral"
IDLE_CONNECTIONS_MAX = 100

_answers: ContextVar[list[httpx2.Response] | None] = ContextVar("answers", default=None)


@lru_cache(maxsize=512)
def _body_class(name: str, kind: Any, config: tuple[tuple[str, Any], ...]) -> type[BaseModel]:
    return create_model(name, __config__=cast(ConfigDict, dict(config)), body=(kind, ...))


def _remembered(name: str, *, body: tuple[Any, Any], __config__: ConfigDict) -> type[BaseModel]:
    """The class that the SDK has made by pydantic for each body that it reads or writes: one for all of a type.

    Making it takes 1.3 ms, and a call has four bodies of the same few types.
    """
    try:
        return _body_class(name, body[0], tuple(__config__.items()))
    except TypeError:  # a type that cannot be looked up
        return create_model(name, __config__=__config__, body=body)


serializers.create_model = _remembered  # type: ignore[assignment, attr-defined]  # it imports it, to call it


class MistralSdk:
    """One key, and the connections under it. `base_url` is the server's, with `/v1` or without."""

    def __init__(self, api_key: SecretStr, base_url: str | None, timeout: timedelta) -> None:
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=PROVIDER)
        self._key = api_key
        self._base_url = base_url.rstrip("/").removesuffix("/v1") if base_url else None
        self.timeout = timeout
        # How many calls may run is not the transport's to decide.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS_MAX)
        self._http = httpx2.AsyncClient(
            verify=tls_context(), limits=limits, follow_redirects=True, event_hooks={"response": [_keep]}
        )
        self._unused = httpx2.Client(verify=tls_context())  # the SDK wants one, and reads the certificates for its own
        self.client = Mistral(
            api_key=api_key.get_secret_value(),
            server_url=self._base_url,
            client=self._unused,
            async_client=self._http,
            retry_config=None,  # one owner of retries, and it is not the SDK
            timeout_ms=int(timeout.total_seconds() * 1000),
        )

    @property
    def where(self) -> str:
        """For a repr: everything but the key."""
        return f"base_url={self._base_url!r}, timeout={self.timeout!r}"

    async def aclose(self) -> None:
        self._unused.close()
        await self._http.aclose()

    async def answer(self, call: Callable[[Mistral], Awaitable[object]], model: str) -> httpx2.Response:
        """What was answered, as it came, whether the SDK can read it or not. Raises `ProviderError`."""
        answers = list[httpx2.Response]()
        token = _answers.set(answers)
        try:
            await call(self.client)
        except FAILURES as error:
            if not isinstance(error, ResponseValidationError) or error.status_code >= 400:
                raise self.faults(model).of_exception(error) from None
        finally:
            _answers.reset(token)
        return answers[-1]

    def faults(self, model: str) -> MistralFaults:
        return MistralFaults(PROVIDER, model, self._key.get_secret_value())


async def _keep(response: httpx2.Response) -> None:
    """Hook of the transport: keeps what was answered to the call that is under way in this task."""
    answers = _answers.get()
    if answers is not None:
        answers.append(response)


def json_of(response: httpx2.Response) -> Mapping[str, Json] | None:
    """The JSON object that it is, if it is one."""
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
