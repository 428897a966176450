"""Where both sides did not agree: conflicts of fields with their life, and items that we no longer write to."""

from datetime import datetime
from enum import StrEnum

from pointsman.contracts.base import Contract
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.work_items import WorkItemKey


class FieldOutcome(StrEnum):
    OURS = "ours"
    THEIRS = "theirs"
    BASE = "base"
    MERGED = "merged"
    """Something of both, or what a human typed."""
    OVERTAKEN = "overtaken"
    """Both sides came to say the same, or the write was given up."""


class SyncConflict(Contract):
    """A conflict with its life. People name it, for example `CON-7`."""

    id: str
    key: WorkItemKey
    tenant: str
    correlation_id: str = ""
    operation: str
    """The write that met it."""
    their_rev: int = 0
    conflict: FieldConflict
    opened_at: datetime
    closed_at: datetime | None = None
    by: str = ""
    """Who decided."""


class Quarantine(Contract):
    """An item that we do not write to until somebody says so."""

    key: WorkItemKey
    tenant: str
    correlation_id: str = ""
    reason: str
    writes: int = 0
    """So many within the window made it trip."""
    at: datetime
    released_at: datetime | None = None
    released_by: str = ""
