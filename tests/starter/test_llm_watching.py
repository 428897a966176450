"""A violation in our processes: counted, and kept in the folder of the settings without what must not be kept."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pointsman.contracts.models import ModelPolicy
from pointsman.llm.errors import ModelNotAllowedError
from pointsman.llm.governance import LOG
from pointsman.llm.governance_log import DailyFile
from pointsman.llm.settings import LLMSettings
from pointsman.llm.types import LLMRequest, Role, text_message
from starter.llm import governed

KEY = "sk-operator-4f1d0c7a9b2e"
HELLO = (text_message(Role.USER, "the words of the conversation"),)


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    before = list(LOG.handlers)
    yield
    for handler in [one for one in LOG.handlers if one not in before]:
        LOG.removeHandler(handler)
        handler.close()


def settings(**more: object) -> LLMSettings:
    given = {"openai_api_key": KEY, "allowed_models": ["gpt-6*"], **more}
    return LLMSettings.model_validate(given)


async def test_a_violation_is_counted_and_kept_without_a_secret(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    llm = settings(llm_governance_log=tmp_path / "governance", llm_governance_log_days=400)
    asked = LLMRequest(messages=HELLO, model=f"gpt-5-by-{KEY}", source_agent="triage", trace_id="t-1")
    async with governed(llm, ModelPolicy(), metrics=registry) as service:
        with pytest.raises(ModelNotAllowedError):
            await service.complete(asked)
    (handler,) = (one for one in LOG.handlers if isinstance(one, DailyFile))
    text = "".join(path.read_text() for path in handler.folder.iterdir())
    assert json.loads(text)["attempted_model"] == "gpt-5-by-********"
    assert KEY not in text
    told = generate_latest(registry).decode()
    assert 'llm_governance_violations_total{model="other",source_agent="triage"} 1.0' in told
    assert 'llm_errors_total{error_type="ModelNotAllowedError",model="other",provider="other"} 1.0' in told
    assert KEY not in told
