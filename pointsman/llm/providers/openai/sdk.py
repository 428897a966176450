"""The official SDK as every adapter of this package uses it: its retries off, over aiohttp."""

from datetime import timedelta
from typing import TypedDict

import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic import SecretStr

from pointsman.llm.tls import tls_context

CONNECT_TIMEOUT = timedelta(seconds=15)


class Options(TypedDict):
    timeout: httpx2.Timeout
    max_retries: int
    http_client: httpx2.AsyncClient


def options(timeout: timedelta) -> Options:
    """What clients of every kind are made with. The transport belongs to the client, which closes it."""
    limits = httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
    # One owner of retries, and it is not the SDK.
    return Options(
        timeout=limits, max_retries=0, http_client=DefaultAioHttpClient(timeout=limits, verify=tls_context())
    )


def open_sdk(api_key: SecretStr, base_url: str | None, timeout: timedelta) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=api_key.get_secret_value(), base_url=base_url, **options(timeout))
