"""The stand-in's model without a model: what it looks up, and that its answer comes from what it was told."""

import json

import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from tests.sandbox.models.scene import COMMENTS, GET, ITEM, SEARCH, TWIN, calls, create, opening

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRIORITY, SEVERITY, STATE = "Microsoft.VSTS.Common.Priority", "Microsoft.VSTS.Common.Severity", "System.State"


async def outcome(
    sdk: AsyncOpenAI, found: list[dict[str, Json]], prompt: str = "Triage the item.", *later: str, **item: Json
) -> dict[str, object]:
    """The answer of the model once its tools returned these items, and users said something more."""
    told = opening({**ITEM, **item}, prompt)
    first = await create(sdk, told, GET, SEARCH)
    told += [TypeAdapter(dict[str, object]).validate_python(entry.to_dict()) for entry in first.output]  # type: ignore[misc]  # the SDK types each kind of item
    for entry in first.output:
        if isinstance(entry, ResponseFunctionToolCall):
            text = json.dumps({"items": found} if "search" in entry.name else {"item": {**ITEM, **item}})
            told.append({"type": "function_call_output", "call_id": entry.call_id, "output": text})
    told += [{"role": "user", "content": text} for text in later]
    answer = json.loads((await create(sdk, told, GET, SEARCH)).output_text)
    assert isinstance(answer, dict)
    assert set(answer) == {"comment", "fields", "tags", "links", "question"}
    return answer


def changes(answer: dict[str, object]) -> dict[str, Json]:
    entries = TypeAdapter(list[dict[str, Json]]).validate_python(answer["fields"])
    return {str(entry["name"]): entry["value"] for entry in entries}


async def test_item_and_search_are_asked_for_at_once(sdk: AsyncOpenAI) -> None:
    response = await create(sdk, opening(ITEM), GET, SEARCH, COMMENTS)
    assert calls(response) == [
        ("work_items__get_work_item", {"id": 42}),
        ("work_items__search_work_items", {"text": "checkout fails basket holds card"}),
    ]
    assert response.status == "completed"


async def test_tool_that_the_prompt_names_is_asked_for_too(sdk: AsyncOpenAI) -> None:
    response = await create(sdk, opening(ITEM, "Read the comments first."), GET, COMMENTS)
    assert [name for name, _ in calls(response)] == ["work_items__get_work_item", "work_items__list_comments"]


async def test_one_at_a_time_where_that_is_asked_for(sdk: AsyncOpenAI) -> None:
    assert len(calls(await create(sdk, opening(ITEM), GET, SEARCH, parallel=False))) == 1
    assert len(calls(await create(sdk, opening(ITEM, "Use tools one at a time."), GET, SEARCH))) == 1


async def test_answer_cites_what_the_tools_returned(sdk: AsyncOpenAI) -> None:
    answer = await outcome(sdk, [TWIN])
    assert "[#7](https://x.example/7) Checkout fails with a gift card in the basket" in str(answer["comment"])
    assert "Closed, Fixed, priority 2, severity 2 - High" in str(answer["comment"])
    assert changes(answer) == {PRIORITY: 2, SEVERITY: "2 - High"}
    assert answer["tags"] == ["checkout"]
    assert answer["question"] == ""


async def test_other_results_make_another_answer(sdk: AsyncOpenAI) -> None:
    answer = await outcome(sdk, [{**TWIN, "id": 9, "priority": 4, "severity": "4 - Low", "tags": ["payments"]}])
    assert "#9" in str(answer["comment"])
    assert "#7" not in str(answer["comment"])
    assert changes(answer) == {PRIORITY: 4, SEVERITY: "4 - Low"}
    assert answer["tags"] == ["payments"]


async def test_items_about_something_else_do_not_count(sdk: AsyncOpenAI) -> None:
    answer = await outcome(sdk, [{**TWIN, "title": "Search forgets accents"}])
    assert "No earlier item is about the same." in str(answer["comment"])
    assert changes(answer) == {PRIORITY: 3, SEVERITY: "3 - Medium"}
    assert answer["tags"] == []


DUPLICATES = "If the item is a duplicate of an earlier one, move it to Resolved."


async def test_duplicate_is_moved_where_the_prompt_says_so(sdk: AsyncOpenAI) -> None:
    assert changes(await outcome(sdk, [TWIN], DUPLICATES))[STATE] == "Resolved"


@pytest.mark.parametrize(
    ("found", "prompt"),
    [
        ([TWIN], "Triage the item."),
        ([], DUPLICATES),
        ([TWIN], "Never move it to Resolved yourself."),
        ([TWIN], "Do not change the state."),
    ],
)
async def test_state_stays_without_an_order_that_holds(
    sdk: AsyncOpenAI, found: list[dict[str, Json]], prompt: str
) -> None:
    # The item's own text says to close it, and that is no order.
    assert STATE not in changes(await outcome(sdk, found, prompt))


async def test_only_fields_that_the_prompt_names_are_proposed(sdk: AsyncOpenAI) -> None:
    assert set(changes(await outcome(sdk, [TWIN], f"Set {PRIORITY} only."))) == {PRIORITY}


async def test_tag_that_the_prompt_names_is_added(sdk: AsyncOpenAI) -> None:
    assert (await outcome(sdk, [TWIN], "Answer, and add the tag `triaged`."))["tags"] == ["triaged", "checkout"]
    assert (await outcome(sdk, [], "Add the tag `triaged`.", tags=["Triaged"]))["tags"] == []


async def test_it_is_linked_to_what_is_like_it_as_the_prompt_says(sdk: AsyncOpenAI) -> None:
    other: dict[str, Json] = {**TWIN, "id": 8, "title": "Checkout fails when the basket is empty"}
    prompt = "Link the bug to those like it: `Duplicate Of` to the one that it repeats, `Related` to others."
    linked = (await outcome(sdk, [TWIN, other], prompt))["links"]
    assert linked == [
        {"relation": "Duplicate Of", "target": "7", "comment": "reads like the same"},
        {"relation": "Related", "target": "8", "comment": "is about the same"},
    ]
    assert (await outcome(sdk, [TWIN], "Do not link it as `Related`."))["links"] == []
    assert (await outcome(sdk, [TWIN]))["links"] == []


async def test_order_may_be_wrapped_over_lines(sdk: AsyncOpenAI) -> None:
    prompt = "If nothing speaks against it,\nmove it\nto Resolved. If something does, leave the state."
    assert changes(await outcome(sdk, [], prompt))[STATE] == "Resolved"


async def test_severity_is_for_bugs(sdk: AsyncOpenAI) -> None:
    assert set(changes(await outcome(sdk, [TWIN], type="User Story"))) == {PRIORITY}


async def test_what_a_human_says_later_counts(sdk: AsyncOpenAI) -> None:
    answer = await outcome(sdk, [TWIN], DUPLICATES, "Ada rejects it: leave the state alone, and set priority 1.")
    assert STATE not in changes(answer)
    assert changes(answer)[PRIORITY] == 1
    assert "Ada rejects it" in str(answer["comment"])


async def test_changed_title_is_taken_into_account(sdk: AsyncOpenAI) -> None:
    news = 'Meanwhile Ada changed the item (revision 3):\n- System.Title: "x" -> "Search forgets accents"'
    answer = await outcome(sdk, [TWIN], "Triage.", news)
    assert "Search forgets accents" in str(answer["comment"])
    assert "No earlier item is about the same." in str(answer["comment"])


async def test_human_is_asked_where_the_prompt_says_so_and_only_once(sdk: AsyncOpenAI) -> None:
    prompt = "If the description is empty or unclear, ask."
    asked = await outcome(sdk, [TWIN], prompt, description="")
    assert "has no description" in str(asked["question"])
    assert asked["fields"] == []
    answered = await outcome(sdk, [TWIN], prompt, "It fails on Fridays.", description="")
    assert answered["question"] == ""
    assert "It fails on Fridays." in str(answered["comment"])


async def test_failed_look_up_is_not_hidden(sdk: AsyncOpenAI) -> None:
    told = opening(ITEM)
    call: dict[str, str] = {"call_id": "c1", "name": "work_items__get_work_item", "arguments": '{"id": 42}'}
    told.append({"type": "function_call", "call_id": call["call_id"], "name": call["name"], "arguments": "{}"})
    told.append({"type": "function_call_output", "call_id": "c1", "output": "The tool failed: no such item"})
    answer = await create(sdk, told, GET)
    assert "A look-up failed" in answer.output_text


async def test_conversation_without_an_item_is_answered_in_words(sdk: AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="gpt-4.1-mini", input="How are you?")
    assert response.output_text == "You said: How are you?"
