"""Our request as the parameters of Converse. What would be refused is left out, and noted."""

import json
import re
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.thinking import thinking_of
from pointsman.llm.providers.bedrock.models import abilities
from pointsman.llm.providers.bedrock.schemas import format_schema, input_schema
from pointsman.llm.providers.bedrock.turns import ConverseTurns
from pointsman.llm.types import LLMRequest, ReasoningEffort, ToolSpec

METADATA_MAX, METADATA_CHARS_MAX = 16, 256
_NOT_METADATA = re.compile(r"[^a-zA-Z0-9\s:_@$#=/+,\-.]")


class Parameters(NamedTuple):
    """For `converse` and for `converse_stream`. Bytes are bytes in them, as boto3 wants them."""

    content: dict[str, Json]
    notes: tuple[str, ...]

    @property
    def counted(self) -> dict[str, Json]:
        """What CountTokens takes of them."""
        kept = ("messages", "system", "toolConfig", "additionalModelRequestFields")
        return {key: self.content[key] for key in kept if key in self.content}


def parameters_of(request: LLMRequest, provider: str) -> Parameters:
    return _Writer(request, provider).parameters()


class _Writer:
    def __init__(self, request: LLMRequest, provider: str) -> None:
        self._request = request
        self._can = abilities(request.model)
        self._turns = ConverseTurns(
            request.messages, provider, system_between=self._can.claude.system_between, caches=self._can.has_cache
        )
        self._content: dict[str, Json] = {"modelId": request.model}
        self._inference: dict[str, Json] = {}
        self._more: dict[str, Json] = {}
        self._output: dict[str, Json] = {}
        self._notes: list[str] = []

    def parameters(self) -> Parameters:
        self._add_tools()
        self._add_reasoning()
        self._add_limits()
        self._add_format()
        self._add_metadata()
        parts: dict[str, Json] = {
            "system": self._turns.instructions,
            "inferenceConfig": self._inference,
            "additionalModelRequestFields": self._more,
            "outputConfig": self._output,
        }
        messages = self._turns.messages
        self._content |= {"messages": messages, **{name: part for name, part in parts.items() if part}}
        return Parameters(self._content, (*self._notes, *self._turns.notes))

    def _add_limits(self) -> None:
        asked, most = self._request.max_tokens, self._can.claude.output_tokens_max
        if asked is not None:
            self._inference["maxTokens"] = min(asked, most)
            if asked > most:
                self._notes.append(f"max_tokens {most:,} instead of {asked:,}: {self._request.model} writes no more")
        stops = [text for text in self._request.stop if text.strip()]
        if stops:
            self._inference["stopSequences"] = list(stops)
        if len(stops) < len(self._request.stop):
            self._notes.append("stop left out where it is blank: the API takes none")
        if self._request.seed is not None:
            self._notes.append("seed left out: Converse does not take it")
        self._add_temperature()

    def _add_temperature(self) -> None:
        asked = self._request.temperature
        if asked is None:
            return
        if not self._can.takes_sampling or "thinking" in self._more:
            why = "takes none with reasoning" if self._can.takes_sampling else "does not take it"
            self._notes.append(f"temperature left out: {self._request.model} {why}")
            return
        self._inference["temperature"] = min(asked, 1.0)
        if asked > 1:
            self._notes.append(f"temperature 1 instead of {asked:g}: Converse goes no further")

    def _add_tools(self) -> None:
        """Converse has no way to forbid calls, nor calls at once: then the instructions do."""
        choice, offered = self._request.tool_choice, self._request.tools
        if not offered or (choice == "none" and not self._turns.called):
            self._add_called()
            return
        config: dict[str, Json] = {"tools": [_tool(tool) for tool in offered]}
        if choice == "none":
            self._instruct("Answer without calling a tool.")
            self._notes.append("tool_choice 'none' asked for in words: Converse has no such choice")
        elif choice != "auto" and self._can.claude.forced_tools == "never":
            self._turns.instruct("Call one of the tools now." if choice == "required" else f"Call the tool `{choice}`.")
            self._notes.append(f"tool_choice {choice!r} asked for in words: {self._request.model} refuses forced calls")
        elif choice != "auto":
            config["toolChoice"] = {"any": {}} if choice == "required" else {"tool": {"name": choice}}
        if not self._request.parallel_tool_calls:
            self._instruct("Call tools one at a time.")
            self._notes.append("parallel_tool_calls forbidden in words: Converse has no such parameter")
        self._content["toolConfig"] = config

    def _add_called(self) -> None:
        """Where no tool is offered, those that were called before: calls go back only with their definitions."""
        names = dict.fromkeys(self._turns.called)
        if names:
            self._content["toolConfig"] = {"tools": [_tool(ToolSpec(name=name[:64])) for name in names]}

    def _instruct(self, text: str) -> None:
        """For the whole conversation: what stands at its beginning is the same the next time, too."""
        self._turns.system.append({"type": "text", "text": text})

    def _add_reasoning(self) -> None:
        if not self._can.is_claude:
            if self._request.reasoning_effort not in (None, ReasoningEffort.NONE):
                self._notes.append(f"reasoning_effort left out: Converse has none for {self._request.model}")
            return
        asked = thinking_of(self._request, self._can.claude, self._turns)
        if asked.thinking is not None:
            self._more["thinking"] = asked.thinking
        if asked.betas:
            self._more["anthropic_beta"] = list(asked.betas)
        if asked.effort:
            self._output["effort"] = asked.effort
        if asked.output_max is not None:
            self._inference["maxTokens"] = asked.output_max
        self._notes += asked.notes

    def _add_format(self) -> None:
        schema = self._request.response_schema
        if schema is None:
            return
        sayable = format_schema(schema) if self._can.has_format else None
        if sayable is not None:
            named: Json = {"schema": sayable, "name": self._request.response_schema_name}
            self._output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": named}}
            return
        told = json.dumps(schema, ensure_ascii=False, sort_keys=True)
        self._turns.instruct(f"Answer with one JSON value of this JSON Schema, and with nothing else:\n{told}")
        why = "the format cannot say it" if self._can.has_format else f"{self._request.model} has no format for it"
        self._notes.append(f"response_schema asked for in words: {why}")

    def _add_metadata(self) -> None:
        """Bedrock keeps it in the invocation logs, in plain characters."""
        given = {_plain(name): _plain(value) for name, value in self._request.labels.items() if name}
        kept = dict(list(given.items())[:METADATA_MAX])
        if kept:
            self._content["requestMetadata"] = dict(kept)
        if kept != self._request.labels:
            self._notes.append("metadata shortened or in other characters: Bedrock takes 16 pairs of plain text")


def _plain(text: str) -> str:
    return _NOT_METADATA.sub("_", text)[:METADATA_CHARS_MAX]


def _tool(tool: ToolSpec) -> Json:
    told: dict[str, Json] = {"description": tool.description} if tool.description else {}
    return {"toolSpec": {"name": tool.name, **told, "inputSchema": {"json": input_schema(tool.parameters)}}}
