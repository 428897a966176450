"""The tables. Rows are written whole and mostly once; what a column means is said in `pointsman.contracts.records`.

Every row says whose it is (`tenant`) and which chain of events it belongs to (`correlation_id`), except contents:
those are named by their hash, and belong to whoever refers to them. All are loaded with this package, so that the
metadata is whole for whoever asks for one.
"""

from pointsman.store.tables.arrivals import InboxChain, InboxRow
from pointsman.store.tables.audit import AuditCheckpoint, AuditEntry, AuditLeaf, AuditPending, AuditSubject, AuditTile
from pointsman.store.tables.base import Setting, col, metadata
from pointsman.store.tables.escalations import EscalationEntry, EscalationRung
from pointsman.store.tables.events import ChainEdge
from pointsman.store.tables.items import AttemptRow, Content, LedgerRow, Message, TransitionRow, WorkItem
from pointsman.store.tables.llm import LlmAccount, LlmAnswer, LlmLedgerRow, LlmRate
from pointsman.store.tables.matrix import (
    MatrixCodeRow,
    MatrixCommitRow,
    MatrixItemRow,
    MatrixLinkRow,
    MatrixProofRow,
    MatrixReading,
)
from pointsman.store.tables.process import ViolationRow
from pointsman.store.tables.reconciliation import ReconciliationRow, TombstoneRow
from pointsman.store.tables.recovery import Heartbeat, HookStateRow, RecoveryGap, RecoveryRow, RecoveryWatermark
from pointsman.store.tables.sync import AgreementRow, ConflictRow, QuarantineRow
from pointsman.store.tables.tracker import TrackerAnswer, TrackerLease, TrackerPace

__all__ = [
    "AgreementRow",
    "AttemptRow",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditLeaf",
    "AuditPending",
    "AuditSubject",
    "AuditTile",
    "ChainEdge",
    "ConflictRow",
    "Content",
    "EscalationEntry",
    "EscalationRung",
    "Heartbeat",
    "HookStateRow",
    "InboxChain",
    "InboxRow",
    "LedgerRow",
    "LlmAccount",
    "LlmAnswer",
    "LlmLedgerRow",
    "LlmRate",
    "MatrixCodeRow",
    "MatrixCommitRow",
    "MatrixItemRow",
    "MatrixLinkRow",
    "MatrixProofRow",
    "MatrixReading",
    "Message",
    "QuarantineRow",
    "ReconciliationRow",
    "RecoveryGap",
    "RecoveryRow",
    "RecoveryWatermark",
    "Setting",
    "TombstoneRow",
    "TrackerAnswer",
    "TrackerLease",
    "TrackerPace",
    "TransitionRow",
    "ViolationRow",
    "WorkItem",
    "col",
    "metadata",
]
