"""What store tests put in."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pointsman.contracts.escalations import Escalation, EscalationKind, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.records import AuditEvent, Caller, Chain, NewDelivery
from pointsman.contracts.work_items import Facts, WorkItemKey

NOW = datetime(2026, 11, 21, 3, 30, 0, 123456, tzinfo=UTC)
KEY = WorkItemKey(organisation="fabrikam", project="rail", id=42)
CHAIN = Chain(tenant="default", correlation_id="chain-1", key=KEY)
CALLER = Caller(workflow_id="item/fabrikam/42", run_id="run-1", activity="items.record", attempt=1)
FACTS = Facts(key=KEY, type="Bug", title="Signal \x00 fails", rev=3, snapshot="ab" * 32)
LADDER = Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("ops",), wait=timedelta(hours=1)),))


def delivery(key: str = "", item_id: int = 42, **changes: object) -> NewDelivery:
    """A delivery under a fresh id; under a fresh idempotency key, too, unless one is named."""
    fresh = str(uuid4())
    told = {
        "id": fresh,
        "received_at": NOW,
        "tenant": "default",
        "organisation": "fabrikam",
        "event_type": "workitem.updated",
        "idempotency_key": key or fresh,
        "item_id": item_id,
        "project": "rail",
        "body": b'{"eventType": "workitem.updated"}',
    }
    return NewDelivery.model_validate({**told, **changes})


def event(number: int, tenant: str = "default") -> AuditEvent:
    chain = CHAIN.model_copy(update={"tenant": tenant})
    return AuditEvent(
        id=f"event-{tenant}-{number}", action="item.routed", actor="test", at=NOW, chain=chain, data={"n": number}
    )


def escalation(number: int = 1) -> Escalation:
    return Escalation(
        key=KEY,
        tenant="default",
        correlation_id="chain-1",
        number=number,
        kind=EscalationKind.APPROVAL,
        severity=Severity.HIGH,
        summary="May the state change?",
        allowed=(Verb.APPROVE, Verb.REJECT),
        subject="cd" * 32,
        ladder=LADDER,
    )
