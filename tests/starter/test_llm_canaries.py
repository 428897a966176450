"""Keys of all providers are planted, used and quoted back in errors; then they are looked for wherever things are kept.

In one process, with real connections to stand-ins that check each key. That what is searched holds something at all is
asserted beside it: a landmark for each place.
"""

import logging
import traceback
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from shutil import copy

import pytest
import pytest_asyncio
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from activities.outside import outside
from pointsman import temporal
from pointsman.contracts.models import ModelPolicy, OwnKey
from pointsman.llm.errors import LLMError
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import factories
from pointsman.llm.tracing import Traced
from pointsman.llm.types import LLMRequest, LLMResponse, Role, text_message
from pointsman.observability import logs
from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.bedrock_converse.catalogue import REGION
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Script
from pointsman.sandbox.models.replies import Reply
from pointsman.sandbox.serving import hosting
from pointsman.store.engine import Store
from starter.llm import governed
from starter.models import keys_of
from tests.observability.searching import holds, tables

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]  # every SDK is imported

KEYS = {
    "openai": "sk-proj-Cerulean2718oFtheOperator",
    "anthropic": "sk-ant-Viridian3141oFtheOperator",
    "gemini": "AIza-Saffron1618oFtheOperator",
    "mistral": "mst-Heliotrope1414oFtheOperator",
    "bedrock": "aws/Carmine+1732oFtheOperator",
    "bedrock's session": "FwoG-Amaranth2828oFtheRole",
    "azure_openai": "az-Periwinkle2236oFtheOperator",
    "openai of a tenant": "sk-proj-Celadon2645oFaTenant",
}
MODELS = {
    "openai": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "gemini": "gemini-3.5-flash-lite",
    "mistral": "mistral-small-2603",
    "bedrock": "global.anthropic.claude-haiku-5-5",
    "azure_openai": "azure/gpt-6-luna",
}
SENT = {"bedrock": "bedrock's session"}
"""What goes over the wire in place of the key, and may be quoted: the key itself signs."""
CONTENT = ("Thylacine", "Quagga")
"""Of the question, and of the answer."""
LANDMARKS = {
    "log": "gemini-3.5-flash-lite",
    "records": "ProviderOverloadedError",
    "spans": "mistral-small-2603",
    "metrics": "ProviderOverloadedError",
    "errors": "Incorrect API key provided",
    "representations": "**********",
    "histories": "Incorrect API key provided",
    "answers": CONTENT[1],
    "database": "gpt-6-luna",
}
Places = dict[str, list[bytes]]


class Raw(logging.Handler):
    """Keeps records as they were made, before anything is masked."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(f"{record.getMessage()} {vars(record)!r}")


@contextmanager
def logged(stream: StringIO) -> Generator[Raw]:
    """Everything that anybody logs, at the most talkative level, and with no secret that the redaction could know."""
    root, raw, before = logging.getLogger(), Raw(), structlog.get_config()
    ours = logging.getLogger("pointsman")
    handlers, level = root.handlers[:], root.level
    logs.configure("debug", stream=stream)
    ours.addHandler(raw)
    try:
        yield raw
    finally:
        ours.removeHandler(raw)
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def places(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Places]:
    file = tmp_path_factory.mktemp("canaries") / "pointsman.db"
    copy(migrated_file, file)
    keys = tuple(SecretStr(key) for key in KEYS.values())
    app = create_app(ModelsConfig(api_keys=keys, first_token=timedelta(0), chunk=timedelta(0)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        patch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["bedrock"])
        patch.setenv("AWS_SESSION_TOKEN", KEYS["bedrock's session"])
        patch.setenv("KEY_OF_ALPHA", KEYS["openai of a tenant"])
        async with hosting(app) as url, Store.open(f"sqlite:///{file}") as store:
            found = await _watch(url, app.state.control, store)
    yield {**found, "database": [value for values in tables(file).values() for value in values]}


async def _watch(url: str, control: Control, store: Store) -> Places:
    llm, policy = _settings(url), ModelPolicy(keys=(OwnKey(provider="openai", tenant="alpha", key="KEY_OF_ALPHA"),))
    exporter, reader, registry, log = InMemorySpanExporter(), InMemoryMetricReader(), CollectorRegistry(), StringIO()
    tracer = TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(exporter))
    observer = Traced(tracer, MeterProvider([reader]))
    with logged(log) as raw:
        async with governed(llm, policy, store, observer, registry) as service:
            answers, failures = await _troubled(service, control)
            clients = [make(_credentials(name)) for name, make in factories(llm).items()]
            shown = [service, llm, policy, keys_of(llm, policy), *clients, *map(vars, clients), vars(service)]
            representations = [repr(one).encode() for one in shown]
            for client in clients:
                await client.aclose()
    told = [_everything(failure).encode() for failure in failures]
    return {
        "log": [log.getvalue().encode()],
        "records": [one.encode() for one in raw.told],
        "spans": [span.to_json().encode() for span in exporter.get_finished_spans()],
        "metrics": [generate_latest(registry), str(reader.get_metrics_data()).encode()],
        "errors": told,
        "representations": representations,
        "histories": [await _history(failure) for failure in failures],
        "answers": [answer.model_dump_json().encode() for answer in answers],
    }


def _settings(url: str) -> LLMSettings:
    return LLMSettings.model_validate(
        {
            "openai_api_key": KEYS["openai"],
            "openai_base_url": f"{url}/v1",
            "anthropic_api_key": KEYS["anthropic"],
            "anthropic_base_url": f"{url}/anthropic",
            "google_api_key": KEYS["gemini"],
            "google_base_url": f"{url}/gemini",
            "mistral_api_key": KEYS["mistral"],
            "mistral_base_url": f"{url}/mistral",
            "bedrock_base_url": f"{url}/bedrock",
            "aws_region": REGION,
            "azure_openai_api_key": KEYS["azure_openai"],
            "azure_openai_endpoint": f"{url}/azure",
            "allowed_models": list(MODELS.values()),
            "llm_response_cache_seconds": 3_600,
        }
    )


def _credentials(provider: str) -> SecretStr:
    of_aws = f"{ACCESS_KEY_ID}:{KEYS['bedrock']}:{KEYS[SENT['bedrock']]}"
    return SecretStr(of_aws if provider == "bedrock" else KEYS[provider])


async def _troubled(service: LLMService, control: Control) -> tuple[list[LLMResponse], list[LLMError]]:
    """Each provider answers, answers in pieces, and fails in every way in which it could tell a key."""
    answers, failures = [], []
    for provider, model in MODELS.items():
        asked = LLMRequest(model=model, messages=(text_message(Role.USER, CONTENT[0]),), max_tokens=64)
        for tenant in ("", "alpha") if provider == "openai" else ("",):
            whose = asked.model_copy(update={"tenant": tenant})
            key = KEYS["openai of a tenant" if tenant else SENT.get(provider, provider)]
            control.scripts.append(Script(replies=[Reply(text=CONTENT[1]), Reply(text=CONTENT[1])]))
            answers.append(await service.complete(whose))
            answers.append(await service.attempt(whose))
            for fault in _faults(key):
                control.faults.append(fault)
                with pytest.raises(LLMError) as caught:
                    await service.attempt(whose)
                failures.append(caught.value)
    return answers, failures


def _faults(key: str) -> list[Fault]:
    said = f"Incorrect API key provided: {key}. {{Authorization: Bearer {key}}}"
    kinds = [Fault(kind=FaultKind.STATUS, status=status, message=said) for status in (401, 400, 500)]
    return [*kinds, Fault(kind=FaultKind.DROP, after=2)]


def _everything(failure: LLMError) -> str:
    trace = "".join(traceback.format_exception(failure))
    return f"{failure} {failure!r} {failure.args} {vars(failure)!r} {trace}"


async def _history(failure: LLMError) -> bytes:
    """What Temporal keeps of an activity that fails with it."""
    with pytest.raises(ApplicationError) as caught, outside("the model"):
        raise failure
    kept = Failure()
    await temporal.data_converter().encode_failure(caught.value, kept)
    return kept.SerializeToString()


@pytest.mark.parametrize("place", LANDMARKS)
async def test_no_key_is_in_any_place(places: Places, place: str) -> None:
    assert any(holds(piece, LANDMARKS[place]) for piece in places[place]), "the search finds what is there"
    found = {name: piece[:300] for name, key in KEYS.items() for piece in places[place] if holds(piece, key)}
    assert found == {}


async def test_every_key_was_in_use(places: Places) -> None:
    """Otherwise its absence would be no merit: the stand-ins refuse a call without the right one."""
    calls = len(KEYS) - len(SENT)
    assert len(places["answers"]) == 2 * calls
    assert len(places["errors"]) == len(_faults("")) * calls


@pytest.mark.parametrize("place", ["log", "records", "spans", "metrics", "errors", "representations", "histories"])
async def test_nothing_of_what_was_said_is_in_what_operators_collect(places: Places, place: str) -> None:
    assert [piece[:300] for word in CONTENT for piece in places[place] if holds(piece, word)] == []
