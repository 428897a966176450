"""Canonical JSON is RFC 8785's, whichever of the two encoders wrote it; ids sort by time or repeat."""

import json
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.records import AuditEvent, Chain
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.merkle import leaf_hash
from pointsman.store import audit
from pointsman.store.canonical import canonical
from pointsman.store.ids import derived_id, new_id

texts = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-(2**53) + 1, 2**53 - 1)
leaves = st.none() | st.booleans() | integers | texts | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=12)


@given(values)
def test_both_encoders_agree_with_the_standard(value: Json) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(
    texts,
    texts,
    texts,
    st.none() | st.tuples(texts, texts, st.integers(1, 2**53 - 1)),
    st.dictionaries(texts, integers | texts),
)
def test_the_body_of_an_event_is_canonical(
    told: str, tenant: str, chain: str, where: tuple[str, str, int] | None, data: dict[str, Json]
) -> None:
    key = WorkItemKey(organisation=where[0], project=where[1], id=where[2]) if where else None
    about = Chain(tenant=tenant, correlation_id=chain, key=key)
    event = AuditEvent(id=told, action=told, actor=told, at=datetime.now(UTC), chain=about, data=data)
    *_, body, leaf = audit.row_of(event)
    assert leaf == leaf_hash(body)
    assert body == rfc8785.dumps(json.loads(body.decode()))
    assert b"\\u0000" not in body.split(b'"data":')[0]
    read = AuditEvent.model_validate_json(body)
    assert (read.at, read.chain.key is None) == (event.at, key is None)
    assert read.chain.tenant == tenant.replace("\x00", "\ufffd")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"b": 1, "a": "\x1f\u2028€"}, '{"a":"\\u001f\u2028€","b":1}'),
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'),
        ([1e21, 0.000001, 1e-7, 100.0, -0.0], "[1e+21,0.000001,1e-7,100,0]"),
        ([2**53, float("inf"), float("nan")], '["9007199254740992","inf","nan"]'),
        ({"\ud800": "\udfff"}, '{"?":"?"}'),
    ],
)
def test_what_is_special_has_one_form(value: Json, form: str) -> None:
    assert canonical(value).decode() == form


def test_new_ids_are_version_seven_and_sort_by_time() -> None:
    ids = []
    for _ in range(3):
        ids.append(new_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {(UUID(one).version, UUID(one).variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert abs(int(ids[0].replace("-", "")[:12], 16) - time.time() * 1000) < 60_000


def test_derived_ids_repeat_and_keep_their_parts_apart() -> None:
    assert derived_id("a", 1) == derived_id("a", 1)
    assert len({derived_id("ab", "c"), derived_id("a", "bc"), derived_id("abc"), derived_id("ab", "c", "")}) == 4
    assert UUID(derived_id("\ud800")).version == 8
