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
from pointsman.llm.providers.anthropic.thinking import MAX_TOKENS, is_forced, thinking_of
from pointsman.llm.providers.anthropic.turns import Turns
from pointsman.llm.types import LLMRequest, ToolSpec


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
        if is_forced(self._request) and self._traits.forced_tools == "never":
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

    def _add_reasoning(self) -> None:
        asked = thinking_of(self._request, self._traits, self._turns)
        if asked.thinking is not None:
            shown: dict[str, Json] = {"display": "summarized"} if asked.output_max is not None else {}
            self._content["thinking"] = {**asked.thinking, **shown}
        if asked.effort:
            self._output["effort"] = asked.effort
        self._betas += asked.betas
        self._notes += asked.notes

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
