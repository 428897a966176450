"""The tables that the endpoint is made of are whole: codes for every error, parameters for every field of a request."""

from datetime import timedelta

import pytest

from pointsman.llm import errors, registry, selector, settings
from pointsman.llm.errors import LLMError, ModelRetiredError, ProviderError
from pointsman.llm.types import LLMRequest, TokenUsage
from starter.web.rpc.codes import OF_ENDPOINT, OF_MODELS, code_of, error_of
from starter.web.rpc.context import Context
from starter.web.rpc.parameters import Ask
from starter.web.rpc.reference import reference_markdown

ALONE = Context("t", "", "")


def kinds(kind: type[LLMError] = LLMError) -> list[type[LLMError]]:
    below = [kind, *(one for other in kind.__subclasses__() for one in kinds(other))]
    return [one for one in below if one.__module__ in (errors.__name__, selector.__name__)]


def test_every_error_of_a_call_has_a_code_of_its_own() -> None:
    assert {code.stands_for for code in OF_MODELS} == set(kinds())


@pytest.mark.parametrize("kind", [registry.RegistryError, settings.SettingsError, LLMError])
def test_an_error_without_one_has_the_code_of_what_it_is(kind: type[LLMError]) -> None:
    assert code_of(kind("no")).stands_for is LLMError


def test_codes_are_told_apart_and_ours_are_where_ours_belong() -> None:
    codes = [code.code for code in (*OF_ENDPOINT, *OF_MODELS)]
    assert len(set(codes)) == len(codes)
    own = [code for code in codes if code not in (-32700, -32600, -32601, -32602, -32603)]
    assert all(-32099 <= code <= -32000 for code in own)
    page = reference_markdown()
    assert [code for code in codes if f"`{code}`" not in page] == []


@pytest.mark.parametrize("kind", [kind for kind in kinds() if issubclass(kind, ProviderError)])
def test_an_error_says_all_that_is_known_of_it(kind: type[ProviderError]) -> None:
    error = kind("why", provider="openai", model="gpt-6-luna", request_id="r-1")
    error.retry_after, error.code, error.usage = timedelta(seconds=2.5), "c", TokenUsage(total_tokens=7)
    told = error_of(error, ALONE)
    assert told.code == code_of(error).code
    assert told.data.items() >= {
        "type": kind.__name__, "reason": "why", "retryable": True, "retry_after": 2.5, "provider": "openai",
        "model": "gpt-6-luna", "request_id": "r-1", "provider_code": "c", "trace_id": "t",
    }.items()  # fmt: skip
    assert isinstance(told.data["usage"], dict)
    assert ("replacement" in told.data) is issubclass(kind, ModelRetiredError)
    assert error_of(kind("why"), ALONE).data["retryable"] is kind.retryable


def test_whatever_a_request_has_can_be_asked_for_but_the_tenant() -> None:
    assert LLMRequest.model_fields.keys() - Ask.model_fields.keys() == {"tenant"}
    assert Ask.model_fields.keys() - LLMRequest.model_fields.keys() == {"prefer"}
    shared = LLMRequest.model_fields.keys() & Ask.model_fields.keys() - {"messages"}
    assert [name for name in shared if Ask.model_fields[name].default != _default(name)] == []


def _default(name: str) -> object:
    return LLMRequest.model_fields[name].get_default(call_default_factory=True)
