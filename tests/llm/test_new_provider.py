"""The adapters that are shown to whoever writes the next one run as they are printed, and keep the promises."""

import inspect
import re
import textwrap
from datetime import timedelta
from types import ModuleType

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from tests.docs.blocks import ROOT, blocks
from tests.llm.contract import ProviderContract
from tests.llm.contract_text import TextContract
from tests.llm.providers.openai_faults import FAULTS
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = ROOT / "docs/llm/new-provider.md"
HERE = "tests/llm/test_new_provider.py::TestPage"
# What the small adapter leans on; the page imports what it needs by itself.
IMPORTS = """
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from contextlib import AbstractAsyncContextManager as AsyncContextManager
from datetime import timedelta

import httpx2
from httpx2 import Response
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.completion_stream import chunks
from pointsman.llm.completions import Completion
from pointsman.llm.errors import ProviderOverloadedError
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.faults import Faults
from pointsman.llm.lenient import object_of, objects, text_of
from pointsman.llm.tls import tls_context
from pointsman.llm.types import LLMRequest, LLMResponse, Role, text_message
"""


def run(code: str) -> dict[str, object]:
    names = vars(ModuleType("shown"))
    exec(compile(code, "shown", "exec"), names)  # noqa: S102 - the code is ours, and running it is the test
    return names


def of_docstring() -> str:
    found = re.search(r"\n( {4}class SmallChat.*?)\n\n`docs", inspect.getdoc(LLMClient) or "", re.DOTALL)
    assert found, "the docstring shows an adapter"
    return IMPORTS + textwrap.dedent(found[1])


def of_page() -> str:
    return textwrap.dedent("\n".join(block.text for block in blocks(PAGE) if block.what == HERE))


SHOWN, PRINTED = run(of_docstring()), run(of_page())


def small(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    made = SHOWN["SmallChat"](key, f"{root}/v1", timeout)  # type: ignore[operator]  # it came out of a docstring
    assert isinstance(made, LLMClient)
    return made


def printed(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    made = PRINTED["HouseChat"](key, f"{root}/v1", timeout)  # type: ignore[operator]  # it came out of a page
    assert isinstance(made, LLMClient)
    return made


class TestDocstring(TextContract):
    wiring = Wiring(
        provider="small",
        model="gpt-5-mini",
        make=small,
        is_priced=False,
        faults={
            errors.RateLimitedError: Said(429),
            errors.ProviderOverloadedError: Said(503),
            errors.AuthenticationError: Said(401),
            errors.InvalidRequestError: Said(400),
        },
    )


class TestPage(ProviderContract):
    wiring = Wiring(
        provider="house",
        model="gpt-5-mini",
        make=printed,
        is_priced=False,
        shows_reasoning=False,
        faults=FAULTS,
    )
