"""Our service as a contender: governance, budgets in memory, metrics and logging on, as in production."""

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal

from pydantic import SecretStr

from bench.llm.contenders import KEY, MODEL, OUTPUT_TOKENS, SYSTEM, USER, Contender
from pointsman.llm import LLMRequest, LLMService, Role, text_message
from pointsman.llm.budgets import Budget, MemoryBudgets, Scope
from pointsman.llm.client import LLMClient
from pointsman.llm.events import TextDelta
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.metrics import LLMMetrics
from pointsman.llm.pool import ClientPool
from pointsman.llm.registry import Registry
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import factories, rules_of
from pointsman.observability import logs

BUDGETS = (
    Budget(scope=Scope.TENANT, tokens=10**12, cost_usd=Decimal(10**9)),
    Budget(scope=Scope.USER, tokens=10**12, cost_usd=Decimal(10**9)),
    Budget(scope=Scope.SESSION, tokens=10**12, cost_usd=Decimal(10**9), hard=False),
)


class Pointsman:
    """Chat Completions, which the peers speak too."""

    def __init__(self, url: str) -> None:
        # Every line is made, redacted and written; where to is the machine's affair.
        logs.configure(secrets=[SecretStr(KEY)], stream=open(os.devnull, "w"))  # noqa: SIM115 - lives as long as we do
        settings = LLMSettings(_env_file=None, openai_base_url=url)
        rules = rules_of(settings)
        metrics = LLMMetrics(Registry.load().models)
        rules = replace(rules, budgets=MemoryBudgets(BUDGETS), observer=metrics)
        self._settings = settings
        pool = ClientPool(OperatorKeys({"openai": SecretStr(KEY)}), {"openai": self._client})
        self.service = LLMService(pool, rules)

    def _client(self, key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.openai.chat import OpenAIChat  # as the service does: paid when first used

        return OpenAIChat(key, self._settings.openai_base_url, self._settings.timeout)

    def _request(self) -> LLMRequest:
        return LLMRequest(
            model=MODEL,
            messages=(text_message(Role.SYSTEM, SYSTEM), text_message(Role.USER, USER)),
            max_tokens=OUTPUT_TOKENS,
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
            source_agent="signaller",
            session_id="session-1",
            tenant="fabrikam",
            user="ada",
        )

    async def aclose(self) -> None:
        await self.service.aclose()

    async def call(self) -> str:
        return (await self.service.complete(self._request())).text

    async def stream(self) -> AsyncIterator[str]:
        async for event in self.service.stream(self._request()):
            if isinstance(event, TextDelta):
                yield event.text


class PointsmanResponses(Pointsman):
    """The Responses API, which we use by default."""

    def _client(self, key: SecretStr) -> LLMClient:
        return factories(self._settings)["openai"](key)


CONTENDERS: Mapping[str, type[Contender]] = {"pointsman": Pointsman, "pointsman-responses": PointsmanResponses}
