"""Our request as the body of GenerateContent. What the model would refuse or pass over is left out, and noted.

Nothing is kept at the provider: projects of today store requests unless each of them says otherwise. Caching needs no
breakpoints here, the service finds equal beginnings by itself.
"""

import json
import re
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.llm.providers.gemini.contents import Contents, Object, wire_name
from pointsman.llm.providers.gemini.traits import Traits, traits_of
from pointsman.llm.types import LLMRequest, ReasoningEffort, ToolSpec

# Limits of the API ("GenerationConfig", "Labels").
STOPS_MAX, SEED_BOUND, LABELS_MAX = 5, 2**31, 64
_LABEL_NAME, _LABEL_VALUE = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{1,63}")
_LEVELS = {
    ReasoningEffort.NONE: "MINIMAL",
    ReasoningEffort.MINIMAL: "MINIMAL",
    ReasoningEffort.LOW: "LOW",
    ReasoningEffort.MEDIUM: "MEDIUM",
    ReasoningEffort.HIGH: "HIGH",
    ReasoningEffort.XHIGH: "HIGH",
    ReasoningEffort.MAX: "HIGH",
}
# Thinking tokens for models that take a budget, after the levels of Google's OpenAI-compatible endpoint.
_BUDGETS = {
    ReasoningEffort.NONE: 0,
    ReasoningEffort.MINIMAL: 1_024,
    ReasoningEffort.LOW: 1_024,
    ReasoningEffort.MEDIUM: 8_192,
    ReasoningEffort.HIGH: 24_576,
    ReasoningEffort.XHIGH: 24_576,
    ReasoningEffort.MAX: 24_576,
}
BUDGET_MIN = 128
"""Of models that cannot stop thinking."""


class Body(NamedTuple):
    content: Object
    notes: tuple[str, ...]


def body_of(request: LLMRequest, provider: str) -> Body:
    """The body, without the model: that is in the path."""
    traits = traits_of(request.model)
    said = Contents(request, provider, traits)
    notes, config = said.notes, Object()
    content: Object = {"contents": [*said.turns], "generationConfig": config, "store": False}
    _add_sampling(request, traits, config, notes)
    _add_thinking(request, traits, config, notes)
    if request.tools:
        content["tools"] = [{"functionDeclarations": [_function(tool) for tool in request.tools]}]
        content["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice)}
        if not request.parallel_tool_calls:
            notes.append("parallel_tool_calls=False left out: GenerateContent has no such switch")
    if request.response_schema is not None:
        _add_schema(request, traits, config, said)
    if said.system:
        content["systemInstruction"] = {"parts": said.system}
    if labels := _labels(request, notes):
        content["labels"] = labels
    return Body(content, tuple(dict.fromkeys(notes)))


def wire_names(request: LLMRequest) -> dict[str, str]:
    """Our names of the tools by those that the API knows them by."""
    return {wire_name(tool.name): tool.name for tool in request.tools}


def _add_sampling(request: LLMRequest, traits: Traits, config: Object, notes: list[str]) -> None:
    if request.max_tokens is not None:
        config["maxOutputTokens"] = request.max_tokens
    if request.temperature is not None and traits.ignores_sampling:
        notes.append(f"temperature left out: {request.model} passes it over")
    elif request.temperature is not None:
        config["temperature"] = request.temperature
    if request.stop:
        config["stopSequences"] = list(request.stop[:STOPS_MAX])
    if len(request.stop) > STOPS_MAX:
        notes.append(f"{len(request.stop) - STOPS_MAX} of {len(request.stop)} stops left out: at most {STOPS_MAX}")
    if request.seed is not None and -SEED_BOUND <= request.seed < SEED_BOUND:
        config["seed"] = request.seed
    elif request.seed is not None:
        notes.append(f"seed {request.seed} left out: it has more than 32 bits")


def _add_thinking(request: LLMRequest, traits: Traits, config: Object, notes: list[str]) -> None:
    effort = request.reasoning_effort
    if not traits.thinks:
        if effort is not None:
            notes.append(f"reasoning_effort left out: {request.model} does not reason")
        return
    thinking: Object = {"includeThoughts": True}
    config["thinkingConfig"] = thinking
    if effort is None:
        return
    if traits.is_third:
        level = _LEVELS[effort]
        level = "LOW" if level == "MINIMAL" and not traits.has_minimal_thinking else level
        thinking["thinkingLevel"] = level
        if level.lower() != effort.value:
            notes.append(f"reasoning_effort {effort.value} became {level.lower()}, the nearest that the model takes")
        return
    budget = _BUDGETS[effort]
    if budget == 0 and not traits.can_stop_thinking:
        budget = BUDGET_MIN
        notes.append(f"reasoning_effort none became a budget of {budget} tokens: {request.model} always reasons")
    thinking["thinkingBudget"] = budget


def _add_schema(request: LLMRequest, traits: Traits, config: Object, said: Contents) -> None:
    if traits.is_third or not request.tools:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = request.response_schema
        return
    schema = json.dumps(request.response_schema, ensure_ascii=False)
    asked = f"When you answer, answer with JSON only, without a code fence, that follows this JSON Schema: {schema}"
    said.system.append({"text": asked})
    said.notes.append(f"the schema is asked for in the prompt: {request.model} takes none beside functions")


def _function(tool: ToolSpec) -> Json:
    return {"name": wire_name(tool.name), "description": tool.description, "parametersJsonSchema": tool.parameters}


def _calling(choice: str) -> Json:
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
    return {"mode": modes[choice]} if choice in modes else {"mode": "ANY", "allowedFunctionNames": [wire_name(choice)]}


def _labels(request: LLMRequest, notes: list[str]) -> Object:
    """What of metadata and context fits into labels: small letters, digits, dashes, at most 63 of them."""
    pairs = request.labels
    fit = [pair for pair in pairs.items() if _LABEL_NAME.fullmatch(pair[0]) and _LABEL_VALUE.fullmatch(pair[1])]
    kept = fit[:LABELS_MAX]
    if len(kept) < len(pairs):
        notes.append(
            f"{len(pairs) - len(kept)} of {len(pairs)} metadata pairs left out: they are no labels of Google's"
        )
    return dict(kept)
