"""Bodies of the Messages API as the tests of Anthropic's adapter ask for them and write them down."""

from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.request import Body, body_of
from pointsman.llm.types import LLMRequest, Message, Role, ToolCallPart, ToolResultPart, text_message
from tests.llm.test_types import json_objects

HELLO = text_message(Role.USER, "hello")


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "claude-haiku-5-5", "messages": (HELLO,), **fields})


def written(**fields: object) -> Body:
    return body_of(request(**fields), "anthropic")


def body(**fields: object) -> dict[str, Json]:
    return written(**fields).content


def notes(**fields: object) -> str:
    return "; ".join(written(**fields).notes)


def turns(*told: Message, model: str = "claude-haiku-5-5") -> list[Json]:
    found = body(messages=told, model=model)["messages"]
    assert isinstance(found, list)
    return found


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(told: str, **more: Json) -> Json:
    return {"type": "text", "text": told, **more}


def of(role: Role, *parts: object, cache: bool = False) -> Message:
    return Message.model_validate({"role": role, "parts": parts, "cache": cache or None})


calls = st.lists(st.text(max_size=6), min_size=1, max_size=2, unique=True)
said = st.text(min_size=1, max_size=8).map(lambda told: text_message(Role.USER, told))


@st.composite
def dialogues(draw: st.DrawFn) -> tuple[Message, ...]:
    """Conversations in which each call has its result, as ours have."""
    told: list[Message] = draw(st.lists(said | st.just(text_message(Role.SYSTEM, "Be brief.")), max_size=2))
    for ids in draw(st.lists(calls, max_size=3)):
        told.append(text_message(Role.USER, "Look."))
        told.append(
            of(Role.ASSISTANT, *(ToolCallPart(call_id=name, name="look", arguments=draw(json_objects)) for name in ids))
        )
        told += [
            of(Role.TOOL, ToolResultPart(call_id=name, name="look", text=draw(st.text(max_size=3)))) for name in ids
        ]
        told += draw(st.lists(said | st.just(text_message(Role.SYSTEM, "Hush.")), max_size=2))
        told.append(text_message(Role.ASSISTANT, "Seen."))
    return (*told, HELLO)
