"""Whatever characters a model's reply holds, it can be kept in a transcript, hashed, and sent back."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.llm.providers.openai.responses_reply import read_reply
from pointsman.llm.types import Message, Role

HALF, NUL = "\ud83d", "\x00"
texts = st.text(st.characters(exclude_categories=[]) | st.sampled_from([HALF, "\ude00", NUL]), max_size=8)
contents = st.fixed_dictionaries({"type": st.sampled_from(["output_text", "refusal"]), "text": texts, "refusal": texts})
items = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("message"), "id": texts, "phase": texts, "content": st.lists(contents, max_size=2)}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("function_call"),
            "id": texts,
            "call_id": texts,
            "name": texts,
            "arguments": texts | st.dictionaries(texts, texts, max_size=2).map(json.dumps),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("reasoning"),
            "id": texts,
            "summary": st.lists(st.fixed_dictionaries({"type": st.just("summary_text"), "text": texts}), max_size=2),
            "encrypted_content": texts,
        }
    ),
    st.fixed_dictionaries({"type": texts}),
)


@settings(max_examples=60)
@given(st.lists(items, min_size=1, max_size=3))
@example([{"type": "message", "id": HALF, "content": [{"type": "output_text", "text": NUL}]}])
@example([{"type": "function_call", "id": HALF, "arguments": '{"a": "\\ud83d"}'}])
def test_a_reply_is_clean_text_throughout(output: list[Json]) -> None:
    reply = read_reply({"status": "completed", "output": output}, "openai")
    message = Message(role=Role.ASSISTANT, parts=reply.parts)
    kept = message.model_dump_json()
    assert kept.encode().decode() == kept
    assert "\\u0000" not in kept
    assert Message.model_validate_json(kept) == message
    assert NUL not in "".join(reply.notes)
    "".join(reply.notes).encode()
