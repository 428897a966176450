"""Our request as the body of `POST /v1/messages`. What would be refused is left out, and noted.

Since its version of 2026-10-21 the API has no sampling parameters. It knows no seed, wants a limit of output, and takes
of the caller's metadata a user's id only.
"""

import json
from hashlib import sha256
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.models import Traits, traits
from pointsman.llm.providers.anthropic.schemas import format_schema, input_schema
from pointsman.llm.providers.anthropic.turns import Turns
from pointsman.llm.types import LLMRequest, ReasoningEffort, ToolSpec

MAX_TOKENS = 16_000
# Reasoning by budget, for the models that know no effort: tokens of `thinking.budget_tokens`, at least 1,024.
BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
BUDGET_MIN = 1_024
# With this beta, reasoning that no longer fits what stands before it is dropped and reported, not refused.
BINDING_BETA = "thinking-binding-controls-2026-08-01"


class Body(NamedTuple):
    content: dict[str, Json]
    notes: tuple[str, ...]
    betas: tuple[str, ...] = ()
    """For the header `anthropic-beta`."""

    @property
    def headers(self) -> dict[str, str]:
        return {"anthropic-beta": ",".join(self.betas)} if self.betas else {}


def body_of(request: LLMRequest, provider: str) -> Body:
    """The body, without `stream`."""
    return _Writer(request, provider).body()


class _Writer:
    def __init__(self, request: LLMRequest, provider: str) -> None:
        self._request = request
        self._traits: Traits = traits(request.model)
        self._turns = Turns(request.messages, provider, system_between=self._traits.system_between)
        self._content: dict[str, Json] = {"model": request.model, "max_tokens": 0}
        self._output: dict[str, Json] = {}
        self._notes: list[str] = []
        self._betas: list[str] = []

    def body(self) -> Body:
        self._add_limits()
        self._add_tools()
        self._add_reasoning()
        self._add_format()
        self._add_user()
        if self._turns.system:
            self._content["system"] = list(self._turns.system)
        self._content["messages"] = self._turns.messages
        if self._output:
            self._content["output_config"] = self._output
        return Body(self._content, (*self._notes, *self._turns.notes), tuple(self._betas))

    def _add_limits(self) -> None:
        asked, most = self._request.max_tokens, self._traits.output_tokens_max
        if asked is None:
            self._notes.append(f"max_tokens {MAX_TOKENS:,}: the API wants a limit, and none was asked for")
        elif asked > most:
            self._notes.append(f"max_tokens {most:,} instead of {asked:,}: {self._request.model} writes no more")
        self._content["max_tokens"] = min(asked or MAX_TOKENS, most)
        stops = [text for text in self._request.stop if text.strip()]
        if stops:
            self._content["stop_sequences"] = list(stops)
        if len(stops) < len(self._request.stop):
            self._notes.append("stop left out where it is blank: the API takes none")
        unknown = {"temperature": self._request.temperature is not None, "seed": self._request.seed is not None}
        self._notes += [
            f"{name} left out: the Messages API does not take it" for name, given in unknown.items() if given
        ]

    def _add_tools(self) -> None:
        if not self._request.tools:
            self._add_called()
            return
        self._content["tools"] = [_tool(tool) for tool in self._request.tools]
        choice = self._request.tool_choice
        kind = {"auto": "auto", "none": "none", "required": "any"}.get(choice, "tool")
        if self._is_forced and self._traits.forced_tools == "never":
            self._turns.instruct("Call one of the tools now." if kind == "any" else f"Call the tool `{choice}` now.")
            self._notes.append(f"tool_choice {choice!r} asked for in words: {self._request.model} refuses forced calls")
            kind = "auto"
        named: dict[str, Json] = {"type": kind, "name": choice} if kind == "tool" else {"type": kind}
        if kind != "none" and not self._request.parallel_tool_calls:
            named["disable_parallel_tool_use"] = True
        self._content["tool_choice"] = named

    def _add_called(self) -> None:
        """Where no tool is offered, those that were called before: calls go back only with their definitions."""
        names = dict.fromkeys(self._turns.called)
        if names:
            self._content["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in names]
            self._content["tool_choice"] = {"type": "none"}

    @property
    def _is_forced(self) -> bool:
        return bool(self._request.tools) and self._request.tool_choice not in ("auto", "none")

    def _add_reasoning(self) -> None:
        if self._is_forced and self._traits.forced_tools == "without thinking":
            self._add_no_reasoning("a forced call of a tool excludes it")
        elif "adaptive" in self._traits.thinking:
            self._add_adaptive()
        else:
            self._add_budget()

    def _add_no_reasoning(self, why: str) -> None:
        if self._traits.thinks_unasked:
            self._content["thinking"] = {"type": "disabled"}
        if self._request.reasoning_effort not in (None, ReasoningEffort.NONE):
            self._notes.append(f"reasoning_effort left out: {why}")

    def _add_adaptive(self) -> None:
        effort, known = self._request.reasoning_effort, self._traits
        if effort in (None, ReasoningEffort.NONE) and not known.thinks_unasked:
            return
        if effort is ReasoningEffort.NONE and "disabled" in known.thinking:
            self._add_no_reasoning("")
            return
        if effort is ReasoningEffort.NONE and "between_tools" in known.thinking:
            self._content["thinking"] = {"type": "between_tools"}
            return
        thinking: dict[str, Json] = {"type": "adaptive", "display": "summarized"}
        if known.binds_thinking and self._turns.thoughts:
            thinking["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
            self._betas.append(BINDING_BETA)
        self._content["thinking"] = thinking
        if effort is not None:
            self._output["effort"] = self._effort(effort)

    def _effort(self, asked: ReasoningEffort) -> str:
        """The effort that was asked for, or the most below it that the model knows, or its least."""
        scale = [effort.value for effort in ReasoningEffort]
        below = [level for level in self._traits.efforts if scale.index(level) <= scale.index(asked.value)]
        given = below[-1] if below else self._traits.efforts[0]
        if given != asked.value:
            self._notes.append(
                f"reasoning_effort {given!r} instead of {asked.value!r}: {self._request.model} has no such"
            )
        return given

    def _add_budget(self) -> None:
        """Reasoning of the models that want a budget for it, which must leave room for the answer."""
        effort = self._request.reasoning_effort
        if effort in (None, ReasoningEffort.NONE):
            return
        limit = min(self._request.max_tokens or MAX_TOKENS, self._traits.output_tokens_max)
        budget = min(BUDGETS[effort.value], limit * 3 // 4)
        if budget < BUDGET_MIN:
            self._notes.append(f"reasoning_effort left out: max_tokens {limit} leaves no room for {BUDGET_MIN} of it")
        elif not self._turns.opens_with_thought:
            self._notes.append("reasoning_effort left out: the calls under way began without reasoning of this model")
        else:
            self._content["thinking"] = {"type": "enabled", "budget_tokens": budget, "display": "summarized"}

    def _add_format(self) -> None:
        schema = self._request.response_schema
        if schema is None:
            return
        sayable = format_schema(schema)
        if sayable is not None:
            self._output["format"] = {"type": "json_schema", "schema": sayable}
            return
        told = json.dumps(schema, ensure_ascii=False, sort_keys=True)
        self._turns.instruct(f"Answer with one JSON value of this JSON Schema, and with nothing else:\n{told}")
        self._notes.append("response_schema asked for in words: the API's format cannot say it")

    def _add_user(self) -> None:
        if self._request.metadata:
            self._notes.append("metadata left out: the Messages API takes none but a user's id")
        if self._request.user:
            # The API asks for an id that tells nothing of the person.
            who = f"{self._request.tenant}/{self._request.user}".encode()
            self._content["metadata"] = {"user_id": sha256(who).hexdigest()}


def _tool(tool: ToolSpec) -> Json:
    told: dict[str, Json] = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **told, "input_schema": input_schema(tool.parameters)}
