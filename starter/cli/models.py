"""The models that are known, on the command line: listed, chosen without a call, compared with the providers' lists."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from pointsman.config import Settings
from pointsman.llm.client import ListedModel
from pointsman.llm.errors import LLMError
from pointsman.llm.estimates import estimate_tokens
from pointsman.llm.governance import Governance
from pointsman.llm.prices import price
from pointsman.llm.refresh import Refreshed, document, refresh
from pointsman.llm.registry import Model, Registry
from pointsman.llm.selector import measure
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    Role,
    TextPart,
    TokenUsage,
    ToolSpec,
)
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode, folder_must_exist, translated, usage
from starter.cli.llm import Asked, Desk, opened
from starter.cli.output import Listing, Record, Single

MILLION = 1_000_000
# Prices are those of a short prompt: some models cost more per token from a length on.
PRICED_TOKENS = 1_000
COLUMNS = (
    *("model", "provider", "tier", "window", "output_max", "can"),
    *("input_usd", "output_usd", "lifecycle", "allowed", "key"),
)
ANY = b"\x00"
NO_LIST = frozenset({"azure_openai"})
SHORT = "Hello"
"""For whoever wants to know without a prompt."""


async def listed(call: Call, settings: Settings, provider: str, *, every: bool) -> Listing:
    """Models that are alive, of one provider or all; with `every` those that are gone, too."""
    today = datetime.now(UTC).date()
    async with opened(settings, call.out, accounted=False) as desk:
        governance = Governance(desk.registry, desk.llm.allowed_models)
        _check_provider(desk.registry, provider)
        models = [
            model
            for model in desk.registry.models.values()
            if provider in ("", model.provider) and (every or not model.retired(today))
        ]
        tiers = _tiers(desk.registry)
        rows = [await _row(model, desk, governance, tiers.get(model.name, ""), today) for model in models]
    return Listing("models", COLUMNS, rows)


def _check_provider(registry: Registry, provider: str) -> None:
    known = sorted({model.provider for model in registry.models.values()})
    if provider and provider not in known:
        raise usage(f"There is no provider {provider!r}; there are: {', '.join(known)}.", "pointsman llm models --help")


def _tiers(registry: Registry) -> dict[str, str]:
    return {name: tier.value for tier, named in registry.tiers.items() for name in named.values()}


async def _row(model: Model, desk: Desk, governance: Governance, tier: str, today: date) -> Record:
    prompt, answer = await _price(model, prompt_tokens=PRICED_TOKENS), await _price(model, answer_tokens=PRICED_TOKENS)
    return {
        "model": model.name,
        "provider": model.provider,
        "tier": tier,
        "window": model.window,
        "output_max": model.output_max,
        "can": " ".join(sorted(model.can)),
        "input_usd": prompt,
        "output_usd": answer,
        "lifecycle": _lifecycle(model, today),
        "shutdown_on": model.shutdown_on.isoformat() if model.shutdown_on else "",
        "replacement": model.replacement,
        "also": list(model.also),
        "allowed": governance.usable(model),
        "key": desk.has_key[model.provider],
        "warning": "" if model.retired(today) else model.warning(today),
    }


async def _price(model: Model, prompt_tokens: int = 0, answer_tokens: int = 0) -> str:
    """USD of a million such tokens; empty where nobody knows."""
    usage_ = TokenUsage(prompt_tokens=prompt_tokens, completion_tokens=answer_tokens)
    found = await price(model.provider, model.sent, usage_)
    return "" if found.note else f"{(found.cost_usd * MILLION / PRICED_TOKENS).normalize():f}"


def _lifecycle(model: Model, today: date) -> str:
    if model.shutdown_on is None:
        return "alive"
    then = f", then {model.replacement}" if model.replacement else ""
    return f"{'gone since' if model.retired(today) else 'until'} {model.shutdown_on.isoformat()}{then}"


async def selected(call: Call, settings: Settings, asked: Asked, needs: Sequence[str]) -> Single:
    """Which model a request with these needs would be given to, and why. Nothing is sent."""
    request = _with_needs(replace(asked, prompt=asked.prompt or SHORT).request(), needs)
    async with opened(settings, call.out, asked, accounted=False) as desk:
        selection = await desk.service.select(request, asked.prefer)
    complexity, features = measure(request)
    return Single(
        "selection",
        {
            "model": selection.model.name,
            "provider": selection.model.provider,
            "key": desk.has_key[selection.model.provider],
            "why": selection.rationale,
            "then": [model.name for model in selection.fallbacks],
            "prompt_tokens": estimate_tokens(request),
            "complexity": complexity.value,
            "features": features,
        },
    )


def _with_needs(request: LLMRequest, needs: Sequence[str]) -> LLMRequest:
    """The request as if it had a tool, an image, a document: only that it has one counts for a selection."""
    parts: list[TextPart | ImagePart | DocumentPart] = []
    if "images" in needs:
        parts.append(ImagePart(data=ANY))
    if "documents" in needs:
        parts.append(DocumentPart(data=ANY))
    messages = (*request.messages, Message(role=Role.USER, parts=tuple(parts))) if parts else request.messages
    tools = (ToolSpec(name="any"),) if "tools" in needs else ()
    return request.model_copy(update={"messages": messages, "tools": tools})


async def refreshed(call: Call, settings: Settings, providers: Sequence[str], write: Path | None) -> ExitCode:
    """Show what the providers list otherwise than the file of models says; write the file as it would be."""
    if write is not None:
        folder_must_exist(write)
    async with opened(settings, call.out, accounted=False) as desk:
        # Servers of one's own are in the policy, not in the file.
        registry = Registry.load(desk.llm.pointsman_models)
        for provider in providers:
            _check_provider(registry, provider)
        every = sorted({model.provider for model in registry.models.values()} - NO_LIST)
        wanted = [provider for provider in dict.fromkeys(providers or every) if provider not in NO_LIST]
        if len(wanted) < len(providers):
            call.out.say("not asked: azure_openai, it lists what could be deployed, not what may be called")
            if not wanted:
                return ExitCode.OK
        asked = [one for one in wanted if desk.has_key[one]]
        if not asked:
            raise _nobody(providers)
        for provider in (one for one in wanted if one not in asked):
            call.out.say(f"not asked: {provider}, there is no key for it")
        answers = await asyncio.gather(*(_list(desk, provider) for provider in asked))
    lists = {name: answer for name, answer in zip(asked, answers, strict=True) if not isinstance(answer, CliError)}
    faults = {name: answer for name, answer in zip(asked, answers, strict=True) if isinstance(answer, CliError)}
    found = refresh(registry, lists, datetime.now(UTC).date())
    rows: list[Record] = [one.model_dump(mode="json") for one in found.differences]
    rows += [{"provider": name, "model": "", "kind": "error", "before": "", "now": fault.message}
             for name, fault in faults.items()]  # fmt: skip
    call.show(Listing("differences", ("provider", "model", "kind", "before", "now"), rows))
    for name in found.kept:
        call.out.say(f"{name} is not listed, and stays: a tier or the end of another model leads to it")
    if write is not None:
        _write(call, found, write)
    if faults:
        return ExitCode.FAILURE
    return ExitCode.FINDINGS if found.differences else ExitCode.OK


async def _list(desk: Desk, provider: str) -> Sequence[ListedModel] | CliError:
    try:
        return await desk.service.list_models(provider)
    except LLMError as error:
        return translated(error) or CliError("llm", str(error))


def _nobody(providers: Sequence[str]) -> CliError:
    named = ", ".join(providers) or "any provider"
    return CliError(
        "no_key",
        f"There is no key for {named}, so there is nobody to ask.",
        "See which keys are there: pointsman llm models",
        ExitCode.UNAUTHORISED,
    )


def _write(call: Call, found: Refreshed, path: Path) -> None:
    path.write_text(document(found.registry), encoding="utf-8")
    call.out.say(f"wrote {path}; read it, then use it: export POINTSMAN_MODELS={path}")
