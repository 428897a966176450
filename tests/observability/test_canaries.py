"""Secrets are nowhere, and content is only where it belongs: canaries that were planted before a run are looked for.

A searcher that finds nothing proves nothing, so each place is also searched for something that must be there.
"""

import gzip
import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import asdict
from urllib.parse import quote

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from pointsman.observability import names
from tests.observability.receiver import METRICS, NOTIFICATIONS, TRACES, Receiver
from tests.observability.searching import holds, payloads
from tests.observability.watched import CONTENT, SECRETS, Run

slow = pytest.mark.slow
Places = dict[str, list[bytes]]
# What must be found where, so that its absence elsewhere means something.
LANDMARKS = {
    "log": "fabrikam/Fabrikam/7",
    "spans": "fabrikam/Fabrikam/7",
    "metrics": "gpt-6.1-terra",
    "pages": "dispatcher",
    "histories": CONTENT.title,
    "payloads": CONTENT.title,
    "lists": "Fabrikam",
    "details": CONTENT.title,
    "store": CONTENT.title,
    "files": CONTENT.title,
    "notifications": CONTENT.answer,
    "command line": "serve",
}
CONVERSATION = (CONTENT.description_end, CONTENT.comment, CONTENT.reasoning, CONTENT.arguments, CONTENT.tool_result)


@pytest.fixture(scope="module")
def places(run: Run, receiver: Receiver) -> Places:
    events = [event for history in run.histories.values() for event in history]
    return {
        "log": [run.log_bytes],
        "spans": [request.body for request in receiver.got(TRACES)],
        "metrics": [run.metrics, *(request.body for request in receiver.got(METRICS))],
        "pages": [run.pages],
        "histories": [event.SerializeToString() for event in events],
        "payloads": [text for event in events for text in payloads(event)],
        "lists": [*run.listed.values(), *_decoded(run.listed.values())],
        "details": list(run.details.values()),
        "store": [value for values in run.tables.values() for value in values],
        "files": list(run.files.values()),
        "notifications": [request.body for request in receiver.got(NOTIFICATIONS)],
        "command line": [run.commands],
    }


def _decoded(listed: Iterable[bytes]) -> list[bytes]:
    return [text for one in listed for text in payloads(WorkflowExecutionInfo.FromString(one))]


def found(places: Places, place: str, text: str) -> list[bytes]:
    """The start of each piece of the place that holds the text."""
    return [piece[:200] for piece in places[place] if holds(piece, text)]


@slow
@pytest.mark.parametrize("place", LANDMARKS)
def test_the_search_finds_what_is_in_each_place(places: Places, place: str) -> None:
    assert found(places, place, LANDMARKS[place])


@slow
def test_what_models_were_asked_is_counted_for_both_who_collect(run: Run, receiver: Receiver) -> None:
    whose = 'model="gpt-6.1-terra",provider="openai"'
    assert f'llm_requests_total{{{whose},status="success"}} 2.0' in run.metrics.decode()
    assert f'llm_errors_total{{error_type="ProviderOverloadedError",{whose}}} 1.0' in run.metrics.decode()
    sent = b"".join(request.body for request in receiver.got(METRICS))
    for name in (names.GEN_AI_DURATION, names.GEN_AI_TOKEN_USAGE):
        assert name.encode() in sent


@slow
@pytest.mark.parametrize("place", LANDMARKS)
@pytest.mark.parametrize("secret", asdict(SECRETS))
def test_no_secret_is_in_any_place(places: Places, place: str, secret: str) -> None:
    assert found(places, place, asdict(SECRETS)[secret]) == []


@slow
def test_every_secret_was_in_use(run: Run, receiver: Receiver) -> None:
    """Otherwise their absence would be no merit. The stand-ins check token, key and the password of deliveries."""
    assert run.written == [
        {"organisation": "fabrikam", "item_id": run.item, "by": f"{who}@fabrikam.example", "count": 1}
        for who in ("ada", "pointsman")
    ]
    outcomes = [line["outcome"] for line in run.log if line["event"] == "model called"]
    assert outcomes == ["ProviderOverloadedError", "ok", "ok"]
    assert [line["reason"] for line in run.log if line["event"] == "delivery refused"] == ["credentials"]
    assert any(line["event"] == "delivery kept" for line in run.log)
    told = receiver.got(NOTIFICATIONS)
    assert [request.path for request in told] == [NOTIFICATIONS + SECRETS.notify] * 2
    assert {request.headers.get("x-collector-key") for request in receiver.got(TRACES)} == {SECRETS.collector}


@slow
@pytest.mark.parametrize("word", asdict(CONTENT))
@pytest.mark.parametrize("place", ["log", "spans", "metrics", "pages", "lists", "command line"])
def test_no_content_is_in_what_operators_collect(places: Places, place: str, word: str) -> None:
    assert found(places, place, asdict(CONTENT)[word]) == []


@slow
@pytest.mark.parametrize("word", CONVERSATION)
@pytest.mark.parametrize("place", ["histories", "payloads", "details"])
def test_the_conversation_stays_out_of_temporal(places: Places, place: str, word: str) -> None:
    assert found(places, place, word) == []


@slow
@pytest.mark.parametrize("word", [CONTENT.title, CONTENT.description, CONTENT.answer, CONTENT.decision, CONTENT.fault])
def test_what_people_need_in_order_to_decide_is_in_temporal(places: Places, word: str) -> None:
    """The item's facts, what is proposed, what was decided, why an attempt failed."""
    assert found(places, "payloads", word) or found(places, "histories", word)


@slow
@pytest.mark.parametrize("word", [name for name in asdict(CONTENT) if name != "fault"])
def test_the_store_keeps_all_content(places: Places, word: str) -> None:
    assert found(places, "store", asdict(CONTENT)[word])


UNUSED = {
    *("llm_answer", "llm_rate"),
    *("hook_state", "recovery", "recovery_gap", "recovery_watermark", "reconciliation", "tombstone"),
    *("process_violation", "sync_conflict", "sync_quarantine"),
    *(f"matrix_{what}" for what in ("reading", "item", "link", "code", "proof", "commit")),
}
"""Here no answers are kept, no rates limited, nothing is looked for that was lost, nothing breaks a rule or is in
conflict, and no matrix is read."""


@slow
def test_every_table_that_holds_content_is_searched(run: Run) -> None:
    empty = {name for name, values in run.tables.items() if not values}
    assert empty <= UNUSED | {"audit_pending"}
    assert {"inbox", "content", "message", "attempt", "ledger", "escalation", "audit_event"} <= run.tables.keys()
    packed = [value for value in run.tables["content"] if value.startswith(b"\x78")]
    assert any(holds(value, CONTENT.description_end) for value in packed), "contents are compressed, and still found"


@slow
def test_the_files_of_both_programs_are_searched(run: Run) -> None:
    assert {"data/pointsman.db", "temporal/temporal.db", "pointsman.log", "temporal/dev-server.log"} <= run.files.keys()


SECRET = "pat-Mahogany/0815+oFtheServiceAccount"


@pytest.mark.parametrize(
    "hidden",
    [
        SECRET.encode(),
        f'{{"a": {json.dumps(SECRET)}}}'.encode(),
        quote(f"?key={SECRET}", safe="").encode(),
        b64encode(f":{SECRET}".encode()),
        b64encode(f"pointsman:{SECRET}".encode()),
        b64encode(f"{SECRET} and more".encode()),
        urlsafe_b64encode(f"ab{SECRET}".encode()),
        SECRET.encode().hex().encode(),
        zlib.compress(f"before {SECRET} after".encode() * 9),
        gzip.compress(f"before {SECRET} after".encode()),
    ],
    ids=["plain", "json", "url", "basic 1", "basic 10", "base64", "base64 url", "hex", "zlib", "gzip"],
)
def test_the_searcher_finds_a_secret_however_it_is_written(hidden: bytes) -> None:
    assert holds(b"something before " + hidden if not hidden.startswith((b"\x78", b"\x1f")) else hidden, SECRET)
    assert not holds(hidden, "cat-Mahogany/0815+oFtheServiceAccount")


def test_the_searcher_looks_into_every_payload_of_an_event() -> None:
    said = json.dumps({"deep": [{"Grüße": "an den Auerochsen"}]}).encode()
    payload = Payload(metadata={"encoding": b"json/plain"}, data=said)
    event = HistoryEvent(
        workflow_execution_started_event_attributes=WorkflowExecutionStartedEventAttributes(
            input=Payloads(payloads=[payload])
        )
    )
    event.workflow_execution_started_event_attributes.memo.fields["note"].CopyFrom(
        Payload(data=b"Memo of the Auerochs")
    )
    texts = list(payloads(event))
    assert "Grüße".encode() in texts
    assert b"Memo of the Auerochs" in texts
    assert b"json/plain" in texts
