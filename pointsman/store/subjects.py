"""Which events of the log are about whom: an index beside it, kept by the sequencer.

An index of the events themselves would be changed at another place for every event, by the one writer for whom all
wait. Here the entries come in order, hundreds at a time. What is pending is found without it: that is little.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from pointsman.contracts.work_items import WorkItemKey
from pointsman.store.lists import Among

_ENTER = Among(
    "INSERT INTO audit_subject (subject, sequence) "
    "SELECT e.correlation_id, e.sequence FROM audit_pending p JOIN audit_event e ON e.id = p.event_id "
    "WHERE e.correlation_id <> '' AND p.sequence {among} "
    "UNION SELECT e.organisation || '/' || e.item_id, e.sequence FROM audit_pending p JOIN audit_event e "
    "ON e.id = p.event_id WHERE e.item_id > 0 AND p.sequence {among} ORDER BY 1, 2"
)
_UNLISTED = text(
    "SELECT e.tenant, e.id FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id "
    "LEFT JOIN audit_subject c ON c.subject = e.correlation_id AND c.sequence = e.sequence "
    "LEFT JOIN audit_subject i ON i.subject = e.organisation || '/' || e.item_id AND i.sequence = e.sequence "
    "WHERE (e.correlation_id <> '' AND c.sequence IS NULL) OR (e.item_id > 0 AND i.sequence IS NULL)"
)


def enter(connection: Connection, pending: Iterable[int]) -> None:
    """Enter events by their numbers in `audit_pending`, in the transaction that puts them into the tree."""
    _ENTER.run(connection, pending)


def subject(correlation_id: str, key: WorkItemKey | None) -> str:
    """What events about both are listed under; empty without both."""
    return correlation_id or (f"{key.organisation}/{key.id}" if key else "")


def unlisted(session: Session) -> list[tuple[str, str]]:
    """Tenant and id of events in the tree that a search would miss."""
    return [(tenant, event_id) for tenant, event_id in session.execute(_UNLISTED)]
