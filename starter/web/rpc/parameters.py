"""What the methods take. By position, parameters are the fields in this order: fields are added at the end only."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pointsman.contracts.base import Json
from pointsman.llm.types import Complexity, LLMRequest, Message, ModelTier, ReasoningEffort, ToolSpec
from starter.web.rpc.callers import Caller
from starter.web.rpc.context import CHARS_MAX, Context
from starter.web.rpc.protocol import INVALID_PARAMS, RpcError, invalid


def _with_parts(value: object) -> object:
    """`{"role": ..., "content": "text"}` is a message of one text."""
    if isinstance(value, dict) and isinstance(value.get("content"), str) and "parts" not in value:
        return {**value, "parts": [{"kind": "text", "text": value["content"]}]}
    return value


ContextText = Annotated[str, Field(max_length=CHARS_MAX)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ask(_Parameters):
    """Of `llm.complete` and `llm.stream`."""

    messages: tuple[Annotated[Message, BeforeValidator(_with_parts)], ...] = Field(
        min_length=1, description="The conversation: each `{role, parts}`, or `{role, content}` for one text."
    )
    model: str = Field("", description="A model's name. Without it and `tier`, the default, or what the request needs.")
    tier: ModelTier | None = Field(None, description="`fast`, `balanced` or `premium`, instead of a model.")
    max_tokens: int | None = Field(None, gt=0, description="Most tokens of the answer, reasoning included.")
    temperature: float | None = Field(None, ge=0, le=2, description="0 to 2.")
    tools: tuple[ToolSpec, ...] = Field((), description="Tools: each `{name, description, parameters}`.")
    tool_choice: str = Field("auto", description="`auto`, `none`, `required`, or the name of a tool.")
    parallel_tool_calls: bool = Field(True, description="Whether one answer may call several tools.")
    response_schema: dict[str, Json] | None = Field(None, description="JSON Schema that the answer's text follows.")
    response_schema_name: str = Field("answer", pattern=r"^[a-zA-Z0-9_-]{1,64}$", description="Its name.")
    reasoning_effort: ReasoningEffort | None = Field(None, description="`none` to `max`.")
    stop: tuple[str, ...] = Field((), description="Texts at which the answer ends.")
    seed: int | None = Field(None, description="For answers that can be repeated, where a provider has that.")
    metadata: dict[str, str] = Field({}, description="Pairs that the provider gets to see, where its API takes any.")
    prefer: tuple[str, ...] = Field((), description="Providers in the order in which they are wanted.")
    trace_id: ContextText = Field("", description="Of the caller's trace; before the header `traceparent`.")
    source_agent: ContextText = Field("", description="The agent that asks; before the header `X-Source-Agent`.")
    session_id: ContextText = Field("", description="Of the conversation; before the header `X-Session-Id`.")
    user: ContextText = Field("", description="Whose call it is. Not taken where the token names a user.")
    work_item: ContextText = Field("", description="The work item that it is charged to.")
    complexity: Complexity | None = Field(None, description="`low`, `medium` or `high`, instead of model and tier.")
    budget: ContextText = Field("", description="Name of a budget of the tenant that it is charged to as well.")


class ListModels(_Parameters):
    """Of `llm.models`."""

    usable_only: bool = Field(False, description="Leave out what is not allowed, retired, or without a key.")


class Nothing(_Parameters):
    """Of methods without parameters."""


def request_of(asked: Ask, caller: Caller, told: Context) -> LLMRequest:
    """The request as the caller may make it: its tenant is the token's, whatever else it says.

    Raises:
        RpcError: the parameters contradict each other, or the token.
    """
    if asked.user and caller.user and asked.user != caller.user:
        raise RpcError(INVALID_PARAMS, "Invalid params", {"reason": "user: the token speaks for another user"})
    fields = asked.model_dump(exclude={"prefer", "messages"}) | context_of(asked, told)._asdict()
    whose = {"messages": asked.messages, "tenant": caller.tenant, "user": caller.user or asked.user}
    try:
        return LLMRequest.model_validate({**fields, **whose})
    except ValidationError as error:
        raise invalid(error) from None


def context_of(asked: Ask, told: Context) -> Context:
    """Parameters before headers."""
    return Context(
        asked.trace_id or told.trace_id, asked.source_agent or told.source_agent, asked.session_id or told.session_id
    )
