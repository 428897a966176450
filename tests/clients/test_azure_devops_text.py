"""Text that nobody can store or send on, NUL and halves of surrogate pairs, ends where an answer is read."""

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps, Tracker
from pointsman.contracts.base import Json
from pointsman.contracts.tracker import TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.briefing import facts_of, happened
from pointsman.ports import Missing, Rejected, Unavailable
from pointsman.store.canonical import canonical

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=7)
HALF, NUL = "\ud83d", "\x00"
BROKEN = f"Fails {HALF} at{NUL} noon"
MENDED = "Fails \N{REPLACEMENT CHARACTER} at\N{REPLACEMENT CHARACTER} noon"
texts = st.text(st.characters(exclude_categories=[]) | st.sampled_from([HALF, "\ude00", NUL]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def answering(body: bytes | Json, status: int = 200) -> AzureDevOps:
    """An organisation that answers everything with one body, as the service escapes it: `\\ud83d`, `\\u0000`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx2.Response(status, content=content, headers={"content-type": "application/json"})
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: answer))
    return AzureDevOps("https://dev.azure.com/fabrikam", SecretStr("token"), http=http)


def tracked(body: bytes | Json) -> Tracker:
    return Tracker({"fabrikam": answering(body)})


def item(fields: Json, page: str = "") -> Json:
    relation: Json = {"rel": BROKEN, "url": BROKEN, "attributes": {BROKEN: [BROKEN]}}
    return {"id": 7, "rev": 1, "fields": fields, "relations": [relation], "_links": {"html": {"href": page}}}


def is_ours(value: str) -> bool:
    return NUL not in value and value.encode().decode() == value


@given(st.dictionaries(texts, values, max_size=4), texts)
async def test_whatever_an_item_holds_can_be_kept_and_sent_on(fields: dict[str, Json], page: str) -> None:
    found = await tracked(item(fields, page)).get(KEY)
    said = json.dumps(found.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
    assert is_ours(said)
    assert "\\u0000" not in said
    assert TrackedItem.model_validate_json(found.model_dump_json()) == found
    assert canonical(dict(found.fields))
    facts = facts_of(KEY, found.fields, found.rev, found.url, deleted=False)
    assert is_ours(facts.model_dump_json())


@given(texts)
async def test_whatever_a_history_holds_can_be_told_to_an_agent(text: str) -> None:
    change: Json = {"oldValue": text, "newValue": [text]}
    who: Json = {"displayName": text}
    never = "9999-01-01T00:00:00Z"
    entry: Json = {"id": 1, "rev": 2, "revisedBy": who, "revisedDate": never, "fields": {"System.Title": change}}
    (found,) = await tracked({"value": [entry]}).updates(KEY)
    assert is_ours(happened(found.revised_by, found.rev, found.changed, ""))
    assert is_ours(found.model_dump_json())


async def test_text_that_is_whole_stays_as_it_is() -> None:
    fields: Json = {"System.Title": "Zug \N{BULLET} 東京 \U0001f682\n\t\x1b", "count": 2**70, "half": 0.5}
    assert (await tracked(item(fields)).get(KEY)).fields == fields
    broken: Json = {"System.Title": BROKEN, BROKEN: 1}
    assert (await tracked(item(broken)).get(KEY)).fields == {"System.Title": MENDED, MENDED: 1}


async def test_comments_and_bytes_that_are_no_text_are_mended_too() -> None:
    comments: Json = {"comments": [{"id": 1, "text": BROKEN, "createdBy": {"displayName": BROKEN}}]}
    (comment,) = await answering(comments).work_items.comments("Web", 7)
    assert (comment.text, comment.created_by) == (MENDED, {"displayName": MENDED})
    raw = b'{"id": 7, "fields": {"System.Title": "\xed\xa0\xbd \xf0\x9f\x9a\x82"}}'
    assert (await tracked(raw).get(KEY)).fields == {"System.Title": "\N{REPLACEMENT CHARACTER} \U0001f682"}


@pytest.mark.parametrize(("status", "kind"), [(400, Rejected), (404, Missing), (503, Unavailable)])
async def test_what_an_error_says_can_be_put_into_a_history(status: int, kind: type[Exception]) -> None:
    client = answering({"message": BROKEN, "typeKey": BROKEN}, status)
    with pytest.raises(kind) as refused:
        await client.work_items.get(7)
    assert MENDED in str(refused.value)
    assert is_ours(f"{refused.value}{getattr(refused.value, 'code', '')}")


@pytest.mark.parametrize("body", [b"{", b'"\xff', b"[" * 100_000, b"[]", b'{"id": "seven"}'])
async def test_what_is_no_answer_is_rejected_without_showing_it(body: bytes) -> None:
    with pytest.raises(Rejected, match=r"GET https://dev\.azure\.com/fabrikam/.* with an answer of another shape, at "):
        await tracked(body).get(KEY)
