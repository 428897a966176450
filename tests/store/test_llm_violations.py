"""Whoever wants a model that may not be used is in the log of violations and in the audit log."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pointsman.contracts.actions import Action
from pointsman.llm.errors import ModelNotAllowedError
from pointsman.llm.governance import Governance, Violation
from pointsman.llm.registry import Registry
from pointsman.llm.types import LLMRequest, Role, text_message
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.llm_violations import TEXT_CHARS_MAX, AuditedViolations
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.verification import verify

ASKED = LLMRequest(
    messages=(text_message(Role.USER, "a secret question"),),
    trace_id="t-1",
    source_agent="triage",
    session_id="s-1",
    tenant="rail",
)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    logged = [record for record in caplog.records if record.name == "pointsman.llm.governance"]
    return [json.loads(record.getMessage()) for record in logged]


async def test_a_violation_is_a_line_and_an_audit_event(
    store: Store, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    governance = Governance(Registry.load(), ["gpt-6-luna"], AuditedViolations(Audit(store)))
    with pytest.raises(ModelNotAllowedError):
        await governance.admit(ASKED, "gpt-9")
    (line,) = lines(caplog)
    (event,) = await Audit(store).find(correlation_id="t-1")
    assert (event.action, event.actor, event.chain.tenant) == (Action.MODEL_REFUSED, "triage", "rail")
    assert event.data["attempted_model"] == line["attempted_model"] == "gpt-9"
    assert (event.data["session_id"], event.data["reason"]) == ("s-1", line["reason"])
    assert event.at.isoformat() == line["timestamp"]
    assert "secret" not in event.model_dump_json()
    await Sequencer(store, signer).drain()
    assert (await verify(store, signer)).findings == ()


async def test_what_a_caller_calls_a_model_is_cut(store: Store) -> None:
    violation = Violation(
        at=datetime.now(UTC), trace_id="", source_agent="", session_id="", tenant="", attempted_model="x" * 10_000,
        reason="no " * 5_000,
    )  # fmt: skip
    await AuditedViolations(Audit(store)).record(violation)
    (event,) = await Audit(store).find(action=Action.MODEL_REFUSED)
    assert event.data["attempted_model"] == "x" * TEXT_CHARS_MAX + "…"
    assert (event.actor, event.chain.tenant) == ("unknown", "default")


async def test_without_a_database_the_line_stands_and_the_request_is_refused(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.open(url)
    governance = Governance(Registry.load(), [], AuditedViolations(Audit(store)))
    await store.close()
    with caplog.at_level(logging.INFO), pytest.raises(ModelNotAllowedError):
        await governance.admit(ASKED, "gpt-9")
    assert len(lines(caplog)) == 1
    assert "is not in the audit log" in caplog.text
