"""Bodies of the Messages API as the tests of Anthropic's adapter ask for them and write them down."""

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.request import Body, body_of
from pointsman.llm.types import LLMRequest, Message, Role, text_message

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
