"""The model service on the command line: an answer at once or as it comes, and one question to several models."""

import asyncio
import json
import logging
import mimetypes
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from pointsman.config import Settings
from pointsman.contracts.base import Json
from pointsman.llm.errors import LLMError
from pointsman.llm.events import ReasoningDelta, Retrying, StreamEvent, StreamFinished, TextDelta
from pointsman.llm.registry import Registry
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import load_adapter
from pointsman.llm.types import (
    Complexity,
    DocumentPart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    ModelTier,
    Part,
    ReasoningEffort,
    Role,
    TextPart,
    text_message,
)
from pointsman.store import sqlite
from pointsman.store.engine import Store
from pointsman.store.sqlite import StoreInUse
from starter.cli.call import Call
from starter.cli.context import policy, stored_in_sqlite
from starter.cli.errors import CliError, ExitCode, translated, usage
from starter.cli.output import Listing, Output, Record, printable
from starter.cli.settings import own_url
from starter.llm import governed
from starter.models import keys_of, registry_of
from starter.needs import llm_settings

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
STDIN = "-"
AGENT = "cli"
"""Whose calls these are, in logs and books."""
ALONE = "this call is accounted for in this process only, and its budgets hold for it alone"


@dataclass(frozen=True)
class Asked:
    """What the options say of a request."""

    prompt: str | None = None
    model: str = ""
    tier: str = ""
    complexity: str = ""
    prefer: Sequence[str] = ()
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    effort: str = ""
    schema: Path | None = None
    images: Sequence[Path] = ()
    documents: Sequence[Path] = ()
    tenant: str = ""
    user: str = ""
    budget: str = ""
    through: str = ""
    """Address of a running service that is to ask; else this process does."""

    def request(self) -> LLMRequest:
        """The request.

        Raises:
            CliError: there is no prompt, or a file cannot be used. Nothing was sent.
        """
        if self.model and self.tier:
            raise usage(f"--model {self.model} and --tier {self.tier} exclude each other.", "Give one of them.")
        parts: list[Part] = [TextPart(text=told(self.prompt))]
        parts += [ImagePart(data=_bytes(path), media_type=_image_type(path)) for path in self.images]
        parts += [DocumentPart(data=_bytes(path), name=path.name) for path in self.documents]
        system = [text_message(Role.SYSTEM, self.system)] if self.system else []
        return LLMRequest(
            model=self.model,
            tier=ModelTier(self.tier) if self.tier else None,
            complexity=Complexity(self.complexity) if self.complexity else None,
            messages=(*system, Message(role=Role.USER, parts=tuple(parts))),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            reasoning_effort=ReasoningEffort(self.effort) if self.effort else None,
            response_schema=_schema(self.schema) if self.schema else None,
            source_agent=AGENT,
            tenant=self.tenant,
            user=self.user,
            budget=self.budget,
        )


class Answering(Protocol):
    """`LLMService`, or one that is elsewhere."""

    async def complete(self, request: LLMRequest, prefer: Sequence[str] = ()) -> LLMResponse: ...

    def stream(self, request: LLMRequest, prefer: Sequence[str] = ()) -> AsyncGenerator[StreamEvent]: ...


@dataclass(frozen=True)
class Asking:
    """Whom a command asks, and who is asked where a tier stands for its models."""

    service: Answering
    of_tier: Callable[[ModelTier], Awaitable[Sequence[str]]]
    note: str = ""
    """What the caller must know of how the call is accounted for."""
    ready: Callable[[Sequence[str]], None] | None = None
    """Makes ready to ask these models, so that nobody's time holds what is no model's."""


@dataclass(frozen=True)
class Desk:
    """What a command works with in this process. Closed by whoever opened it."""

    service: LLMService
    registry: Registry
    llm: LLMSettings
    has_key: dict[str, bool]
    """By provider: whether there is one for whoever asks."""
    note: str = ""

    async def of_tier(self, tier: ModelTier) -> Sequence[str]:
        """The tier's model at each provider that a key is there for."""
        return [model.name for model in self.registry.of_tier(tier) if self.has_key.get(model.provider)]

    def ready(self, names: Sequence[str]) -> None:
        """Import what speaks to the models' providers. Seconds on a busy machine."""
        models = self.registry.models
        for provider in sorted({models[name].provider for name in names if name in models}):
            load_adapter(provider)


@asynccontextmanager
async def asking(call: Call, settings: Settings, asked: Asked) -> AsyncGenerator[Asking]:
    """This process's own service with its books, or the one that is asked for."""
    if asked.through:
        from starter.cli.through import through  # an HTTP client, that only its users should pay for

        async with through(asked.through, settings, asked.tenant, asked.user) as service:
            yield Asking(service, service.of_tier)
        return
    async with opened(settings, call.out, asked) as desk:
        yield Asking(desk.service, desk.of_tier, desk.note, desk.ready)


@asynccontextmanager
async def opened(
    settings: Settings, out: Output, asked: Asked | None = None, *, accounted: bool = True
) -> AsyncGenerator[Desk]:
    """The governed service of this call; `accounted` with the books, where they can be written."""
    # A command tells its one outcome itself; the library's log lines are for processes that go on.
    logging.getLogger("pointsman.llm").addHandler(logging.NullHandler())
    llm, rules = llm_settings(settings), policy(settings).models
    async with AsyncExitStack() as stack:
        store, note = _books(settings) if accounted else (None, "")
        if note:
            out.say(f"note: {note}")
        if store is not None:
            await stack.enter_async_context(store)
        service = await stack.enter_async_context(governed(llm, rules, store))
        registry, keys = registry_of(llm, rules), keys_of(llm, rules)
        providers = {model.provider for model in registry.models.values()}
        tenant, user = (asked.tenant, asked.user) if asked else ("", "")
        has_key = {provider: keys.has(provider, tenant, user) for provider in sorted(providers)}
        yield Desk(service, registry, llm, has_key, note)


def _books(settings: Settings) -> tuple[Store | None, str]:
    """The store, where there is one that nobody else writes; else what follows from that."""
    url = settings.database_url.get_secret_value()
    if stored_in_sqlite(settings) and not sqlite.path_of(url).exists():
        return None, f"there is no database, so {ALONE}: pointsman db upgrade makes one"
    try:
        return Store.open(url), ""
    except StoreInUse:
        return None, f"a service holds the books, so {ALONE}: --through {own_url(settings)} has that service ask"


async def complete(call: Call, settings: Settings, asked: Asked) -> None:
    """Print the answer. Cancelling closes the connection to the provider."""
    request = asked.request()
    async with asking(call, settings, asked) as asker:
        response = await asker.service.complete(request, asked.prefer)
    if call.out.as_json:
        call.out.document({"response": document(_noted(response, asker.note))})
        return
    call.out.line(printable(response.text) if call.out.terminal else response.text)
    _say_end(call.out, response)


async def stream(call: Call, settings: Settings, asked: Asked, *, reasoning: bool) -> None:
    """Print the answer as it comes; with `--json` each event as a line. Cancelling ends the provider's work."""
    request = asked.request()
    async with (
        asking(call, settings, asked) as asker,
        aclosing(asker.service.stream(request, asked.prefer)) as events,
    ):
        async for event in events:
            if call.out.as_json:
                if isinstance(event, StreamFinished):
                    event = StreamFinished(response=_noted(event.response, asker.note))
                call.out.event({"event": event.model_dump(mode="json", exclude_none=True)})
            else:
                _tell(call.out, event, reasoning=reasoning)


def _tell(out: Output, event: StreamEvent, *, reasoning: bool) -> None:
    match event:
        case TextDelta():
            out.piece(event.text)
        case ReasoningDelta() if reasoning:
            out.murmur(event.text)
        case Retrying():
            out.piece("\n")
            out.say(f"begins again in {event.wait_seconds:.1f} s, what was said is void: {event.error}")
        case StreamFinished():
            out.piece("\n")
            _say_end(out, event.response)


async def compare(call: Call, settings: Settings, asked: Asked, models: Sequence[str]) -> ExitCode:
    """Ask all at the same time, and print one row each. 1 where none of them answered."""
    request = asked.request().model_copy(update={"tier": None, "model": ""})
    async with asking(call, settings, asked) as asker:
        names = list(dict.fromkeys(models)) or await _of_tier(asker, ModelTier(asked.tier or ModelTier.BALANCED))
        if asker.ready:
            asker.ready(names)
        rows = await asyncio.gather(*(_row(asker, request, name) for name in names))
    columns = ("model", "seconds", "first_token_seconds", "input_tokens", "output_tokens", "cost_usd", "answer")
    shown = rows if call.out.as_json else [{**row, "answer": row["answer"] or f"error: {row['error']}"} for row in rows]
    call.show(Listing("models", columns, shown))
    answered = sum(not row["error"] for row in rows)
    call.out.say(f"{answered} of {len(rows)} answered, {sum(_cost(row) for row in rows):f} USD in all")
    return ExitCode.OK if answered else ExitCode.FAILURE


async def _of_tier(asker: Asking, tier: ModelTier) -> Sequence[str]:
    names = await asker.of_tier(tier)
    if not names:
        raise CliError(
            "no_key",
            f"There is no key for any provider of tier {tier.value}. Nothing was sent.",
            "See which keys are there: pointsman llm models",
            ExitCode.UNAUTHORISED,
        )
    return names


async def _row(asker: Asking, request: LLMRequest, name: str) -> Record:
    """What one model came to. Streamed, so that its first token is timed."""
    response: LLMResponse | None = None
    error = ""
    try:
        async with aclosing(asker.service.stream(request.model_copy(update={"model": name}))) as events:
            async for event in events:
                if isinstance(event, StreamFinished):
                    response = _noted(event.response, asker.note)
    except (LLMError, CliError) as failure:
        known = translated(failure)
        error = known.message if known else str(failure)
    spent = response.usage if response else None
    first = response.time_to_first_token_ms if response else None
    return {
        "model": name,
        "provider": response.provider if response else "",
        "answered_by": response.model if response else "",
        "seconds": round(response.latency_ms / 1000, 3) if response else None,
        "first_token_seconds": round(first / 1000, 3) if first is not None else None,
        "input_tokens": spent.prompt_tokens if spent else None,
        "output_tokens": spent.completion_tokens if spent else None,
        "cost_usd": f"{response.cost_usd:f}" if response else None,
        "answer": response.text if response else "",
        "error": error,
        "notes": list(response.notes) if response else [],
    }


def _cost(row: Record) -> Decimal:
    return Decimal(str(row["cost_usd"] or 0))


def document(response: LLMResponse) -> Record:
    """The response as `--json` prints it: all of it, and its text beside the parts."""
    return {"text": response.text, **response.model_dump(mode="json", exclude_none=True)}


def _noted(response: LLMResponse, note: str) -> LLMResponse:
    """The response for programs, which do not read what is said on stderr."""
    return response.model_copy(update={"notes": (*response.notes, note)}) if note else response


def _say_end(out: Output, response: LLMResponse) -> None:
    spent = response.usage
    out.say(
        f"{response.model} ({response.provider}): {spent.prompt_tokens:,} tokens in, {spent.completion_tokens:,} out, "
        f"{response.cost_usd:f} USD, {response.latency_ms / 1000:.1f} s, {response.finish_reason.value}"
    )
    for note in response.notes:
        out.say(f"note: {note}")


def told(prompt: str | None) -> str:
    """The prompt as an argument, or all of stdin.

    Raises:
        CliError: there is none.
    """
    if prompt is None and sys.stdin.isatty():
        raise usage("There is no prompt.", 'Give one: pointsman llm complete "Hello", or pipe it in.')
    text = sys.stdin.read() if prompt in (None, STDIN) else prompt
    if not text or not text.strip():
        raise usage("The prompt is empty. Nothing was sent.", 'Give one: pointsman llm complete "Hello"')
    return text


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise usage(
            f"{path} cannot be read: {error.strerror}. Nothing was sent.", "pointsman llm complete --help"
        ) from None


def _image_type(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "unknown"
    if kind not in IMAGE_TYPES:
        allowed = ", ".join(IMAGE_TYPES)
        raise usage(
            f"{path} is {kind} by its name; images may be {allowed}. Nothing was sent.", "pointsman llm complete --help"
        )
    return kind


def _schema(path: Path) -> dict[str, Json]:
    try:
        read: object = json.loads(_bytes(path))
    except ValueError as error:
        raise usage(f"{path} is no JSON: {error}. Nothing was sent.", "pointsman llm complete --help") from None
    if not isinstance(read, dict):
        raise usage(f"{path} is no JSON Schema: it holds no object. Nothing was sent.", "pointsman llm complete --help")
    return read
