"""Rows of our books as records of the output: which fields, in which order, under which names."""

from pointsman.contracts.base import Json
from pointsman.contracts.records import AuditEvent, Delivery, EscalationRow, ItemRow
from pointsman.contracts.work_items import ENDED, Usage, WorkItemKey
from pointsman.domain.history import Happening, Standing
from pointsman.domain.words import how_many
from starter.cli.output import Listing, Record, Single, Value
from starter.timeline import TimelineRow

BODY_CHARS_MAX = 4_000


def items(rows: list[ItemRow]) -> Listing:
    columns = ("item", "type", "state", "agent", "cost_usd", "changed_at", "title")
    return Listing("items", columns, [_item(row) for row in rows])


def item(row: ItemRow, links: dict[str, str]) -> Single:
    return Single("item", {**_item(row), **_used(row.usage), **_ends(row), **links})


def _item(row: ItemRow) -> Record:
    return {
        "item": f"{row.key.organisation}/{row.key.id}",
        "organisation": row.key.organisation,
        "project": row.key.project,
        "id": str(row.key.id),
        "type": row.facts.type if row.facts else "",
        "title": row.facts.title if row.facts else "",
        "state": row.state.value,
        "reason": row.reason,
        "agent": row.agent,
        "tenant": row.tenant,
        "cost_usd": row.usage.cost_usd,
        "waited_seconds": round(row.waited_seconds, 3),
        "first_at": row.first_at,
        "changed_at": row.changed_at,
        "correlation_id": row.correlation_id,
        "workflow_id": row.workflow_id,
        "run_id": row.run_id,
    }


def _used(usage: Usage) -> Record:
    return {
        "model_calls": usage.model_calls,
        "tool_calls": usage.tool_calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }


def _ends(row: ItemRow) -> Record:
    return {"ended": row.state in ENDED, "revision": row.facts.rev if row.facts else None}


def timeline(rows: list[TimelineRow]) -> Listing:
    columns = ("at", "kind", "what", "who", "ref")
    return Listing(
        "timeline",
        columns,
        [{"at": row.at, "kind": row.kind, "what": row.what, "who": row.who, "ref": row.ref} for row in rows],
    )


def history(rows: list[Happening]) -> Listing:
    columns = ("at", "side", "what", "who", "cause", "changes", "ref")
    return Listing("history", columns, [_happening(row) for row in rows])


def _happening(row: Happening) -> Record:
    return {
        "at": row.at,
        "side": row.side,
        "what": f"{row.what} (told again)" if row.repeats else row.what,
        "who": row.actor,
        "cause": row.cause,
        "changes": {name: [plain(old), plain(new)] for name, (old, new) in row.changes.items()},
        "links_added": row.links_added,
        "links_removed": row.links_removed,
        "comment": row.comment,
        "revision": row.rev,
        "marks": row.marks,
        "repeats": row.repeats,
        "ref": row.ref,
    }


def standing(key: WorkItemKey, told: Standing) -> Single:
    return Single(
        "standing",
        {
            "item": f"{key.organisation}/{key.id}",
            "at": told.at,
            "since": told.since,
            "revision": told.rev,
            "deleted": told.deleted,
            "pointsman_state": told.state,
            "comments": told.comments,
            "links": sorted(told.links),
            "entries": told.entries,
            "fields": {name: plain(value) for name, value in sorted(told.fields.items())},
        },
    )


def escalations(rows: list[EscalationRow]) -> Listing:
    columns = ("escalation", "item", "kind", "severity", "status", "opened_at", "summary")
    return Listing("escalations", columns, [_escalation(row) for row in rows])


def escalation(row: EscalationRow, links: dict[str, str]) -> Single:
    asked = row.escalation
    proposal: Record = {"proposal": asked.proposal.summary, "fields": asked.proposal.fields} if asked.proposal else {}
    decision: Record = {}
    if row.decision is not None:
        told = row.decision
        decision = {"verb": told.verb.value, "by": told.by, "comment": told.comment, "channel": told.channel}
    return Single(
        "escalation",
        {
            **_escalation(row),
            "details": asked.details,
            **proposal,
            "allowed": [verb.value for verb in asked.allowed],
            "choices": asked.choices,
            "subject": asked.subject,
            "told": row.rungs,
            "closed_at": row.closed_at,
            **decision,
            "correlation_id": asked.correlation_id,
            "workflow_id": row.workflow_id,
            **links,
        },
    )


def status(row: EscalationRow) -> str:
    """pending, or how it ended: the verb that stands, or expired, or withdrawn."""
    if row.resolution is None:
        return "pending"
    return row.resolution.verb.value if row.resolution.verb else row.resolution.outcome


def _escalation(row: EscalationRow) -> Record:
    asked = row.escalation
    return {
        "escalation": row.id,
        "item": f"{asked.key.organisation}/{asked.key.id or asked.key.project}",
        "project": asked.key.project,
        "title": asked.title,
        "url": asked.url,
        "kind": asked.kind.value,
        "severity": asked.severity.value,
        "status": status(row),
        "opened_at": row.opened_at,
        "summary": asked.summary,
        "agent": asked.agent,
    }


def deliveries(rows: list[Delivery]) -> Listing:
    columns = ("delivery", "received_at", "event_type", "item", "state", "attempts", "reason")
    return Listing("deliveries", columns, [_delivery(row) for row in rows])


def delivery(row: Delivery, concerns: Record) -> Single:
    """With what its body is about, and the body, as text and cut: `--body` gives all of it."""
    body = row.body.decode("utf-8", errors="replace")
    shown = (
        body
        if len(body) <= BODY_CHARS_MAX
        else f"{body[:BODY_CHARS_MAX]}... ({how_many(len(row.body), 'byte')} in all)"
    )
    return Single(
        "delivery",
        {
            **_delivery(row),
            **concerns,
            "event_id": row.event_id,
            "subscription_id": row.subscription_id,
            "notification_id": row.notification_id,
            "idempotency_key": row.idempotency_key,
            "tenant": row.tenant,
            "next_at": row.next_at,
            "dispatched_at": row.dispatched_at,
            "workflow_id": row.workflow_id,
            "body_bytes": len(row.body),
            "body": shown,
        },
    )


def _delivery(row: Delivery) -> Record:
    return {
        "delivery": row.id,
        "received_at": row.received_at,
        "event_type": row.event_type,
        "item": f"{row.organisation}/{row.item_id}" if row.item_id else "",
        "state": row.state.value,
        "attempts": row.attempts,
        "reason": row.reason,
        "correlation_id": row.correlation_id,
        "chain_id": row.chain_id,
        "replayed_by": row.replayed_by,
        "recovered_from": row.recovered_from,
    }


def events(rows: list[AuditEvent]) -> Listing:
    columns = ("at", "action", "actor", "item", "correlation_id", "data")
    return Listing("events", columns, [_event(row) for row in rows])


def _event(event: AuditEvent) -> Record:
    key = event.chain.key
    return {
        "id": event.id,
        "at": event.at,
        "action": event.action,
        "actor": event.actor,
        "item": f"{key.organisation}/{key.id}" if key else "",
        "tenant": event.chain.tenant,
        "correlation_id": event.chain.correlation_id,
        "data": {name: plain(value) for name, value in event.data.items()},
    }


def plain(value: Json) -> Value:
    """JSON as a value of the output: the same, told to the type checker."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value
