"""The service over the stand-in, with rules of the test, and an observer that remembers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydantic import SecretStr

from pointsman.llm.accounting import CallRecord
from pointsman.llm.errors import ProviderError
from pointsman.llm.governance import Governance
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.pool import ClientPool
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.registry import Registry
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.types import LLMRequest, Role, text_message
from tests.llm.standin import KEY, Provider

REGISTRY = Registry.load()
SECRET = "the words of this conversation"
HELLO = text_message(Role.USER, SECRET)
BRISK = RetryPolicy(wait_seconds_max=0.02)


@dataclass
class Counting:
    """An observer that remembers."""

    active: int = 0
    ends: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    records: list[CallRecord] = field(default_factory=list)

    def started(self, provider: str) -> None:
        self.active += 1

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None:
        self.active -= 1
        self.ends.append(type(error).__name__ if error else "well")

    def waits(self, provider: str, seconds: float) -> None:
        self.pauses.append(seconds)

    def told(self, record: CallRecord) -> None:
        self.records.append(record)


@dataclass
class Bench:
    """A way to make services over the stand-in, and to close them."""

    provider: Provider
    observer: Counting = field(default_factory=Counting)
    services: list[LLMService] = field(default_factory=list)

    def service(self, fallbacks: Sequence[str] = (), keys: dict[str, str] | None = None, **rules: object) -> LLMService:
        governance = Governance(REGISTRY, ("*",), today=lambda: date(2026, 11, 21))
        selector = Selector(REGISTRY, governance, fallbacks={"gpt-6-luna": fallbacks})
        given = {"governance": governance, "retries": BRISK, "observer": self.observer, **rules}
        known = {name: SecretStr(key) for name, key in (keys or {"openai": KEY}).items()}
        url = self.provider.url
        pool = ClientPool(OperatorKeys(known), {"openai": lambda key: OpenAIResponses(key, url, timedelta(seconds=60))})
        made = LLMService(pool, Rules(selector=selector, **given))  # type: ignore[arg-type]  # rules of the test
        self.services.append(made)
        return made


def request(**fields: object) -> LLMRequest:
    given = {"messages": (HELLO,), "trace_id": "t-1", "tenant": "rail", **fields}
    if "tier" not in fields:
        given.setdefault("model", "gpt-6-luna")
    return LLMRequest.model_validate(given)
