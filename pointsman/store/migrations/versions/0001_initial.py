"""The first schema: inbox, items, transcripts, attempts, ledger, escalations, audit log."""

from typing import TypedDict

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TEXT = sa.Text()
BYTES = sa.LargeBinary()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

IMMUTABLE = ("audit_event", "audit_leaf", "audit_checkpoint")
"""What was written there stands. An obstacle for whoever would change it; the proof that nobody did is the tree."""


class Where(TypedDict):
    sqlite_where: sa.TextClause
    postgresql_where: sa.TextClause


def upgrade() -> None:
    for create in CREATE:
        create()
    for table in IMMUTABLE:
        if op.get_bind().dialect.name == "sqlite":
            _forbid_changes_sqlite(table)
        else:
            _forbid_changes_postgresql(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_immutable()")


def _where(condition: str) -> Where:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _forbid_changes_sqlite(table: str) -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is never changed: {change} refused'); END"
        )


def _forbid_changes_postgresql(table: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION audit_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is never changed: % refused', TG_TABLE_NAME, TG_OP; END $$"
    )
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_immutable()"
        )


def _create_setting() -> None:
    op.create_table(
        "setting",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_setting"),
    )


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("event_type", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("subscription_id", TEXT, nullable=False),
        sa.Column("notification_id", NUMBER, nullable=False),
        sa.Column("idempotency_key", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("body", BYTES, nullable=False),
        sa.Column("traceparent", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("chain_id", TEXT, nullable=False),
        sa.Column("duplicate_of", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", MOMENT),
        sa.Column("dispatched_at", MOMENT),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("replayed_by", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_inbox"),
        sa.UniqueConstraint("id", name="uq_inbox_id"),
    )
    op.create_index("ix_inbox_item_id_sequence", "inbox", ["item_id", "sequence"])
    op.create_index("ix_inbox_pending", "inbox", ["organisation", "item_id", "sequence"], **_where("state = 'pending'"))
    op.create_index("ix_inbox_state_sequence", "inbox", ["state", "sequence"])
    op.create_index(
        "uq_inbox_idempotency_key_tenant",
        "inbox",
        ["idempotency_key", "tenant"],
        unique=True,
        **_where("duplicate_of = ''"),
    )


def _create_inbox_chain() -> None:
    op.create_table(
        "inbox_chain",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("chain_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "item_id", name="pk_inbox_chain"),
    )


def _create_work_item() -> None:
    op.create_table(
        "work_item",
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("facts", TEXT, nullable=False),
        sa.Column("usage", TEXT, nullable=False),
        sa.Column("waited_seconds", sa.Float(), nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "item_id", name="pk_work_item"),
    )
    op.create_index("ix_work_item_changed_at", "work_item", ["changed_at"])
    op.create_index("ix_work_item_state_changed_at", "work_item", ["state", "changed_at"])


def _create_transition() -> None:
    op.create_table(
        "transition",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("after", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("usage", TEXT, nullable=False),
        sa.Column("waited_seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_transition"),
        sa.UniqueConstraint("workflow_id", "run_id", "number", name="uq_transition_workflow_id_run_id_number"),
    )
    op.create_index(
        "ix_transition_organisation_item_id_sequence", "transition", ["organisation", "item_id", "sequence"]
    )


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("activity", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("usage", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    op.create_index("ix_attempt_organisation_item_id_started_at", "attempt", ["organisation", "item_id", "started_at"])


def _create_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("base_rev", sa.Integer(), nullable=False),
        sa.Column("fields", TEXT, nullable=False),
        sa.Column("intended_at", MOMENT, nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("settled_at", MOMENT),
        sa.PrimaryKeyConstraint("operation", name="pk_ledger"),
    )
    op.create_index("ix_ledger_organisation_item_id_intended_at", "ledger", ["organisation", "item_id", "intended_at"])


def _create_content() -> None:
    op.create_table(
        "content",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("encoding", TEXT, nullable=False),
        sa.Column("data", BYTES, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_content"),
    )


def _create_message() -> None:
    op.create_table(
        "message",
        sa.Column("transcript", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("slot", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("transcript", "position", name="pk_message"),
        sa.ForeignKeyConstraint(["hash"], ["content.hash"], name="fk_message_hash"),
        sa.UniqueConstraint("transcript", "slot", name="uq_message_transcript_slot"),
    )
    op.create_index("ix_message_organisation_item_id", "message", ["organisation", "item_id"])


def _create_escalation() -> None:
    op.create_table(
        "escalation",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("decision", TEXT, nullable=False),
        sa.Column("resolution", TEXT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.PrimaryKeyConstraint("number", name="pk_escalation"),
        sa.UniqueConstraint("workflow_id", "run_id", name="uq_escalation_workflow_id_run_id"),
    )
    op.create_index("ix_escalation_organisation_item_id", "escalation", ["organisation", "item_id"])
    op.create_index("ix_escalation_pending", "escalation", ["number"], **_where("closed_at IS NULL"))


def _create_escalation_rung() -> None:
    op.create_table(
        "escalation_rung",
        sa.Column("escalation", NUMBER, nullable=False, autoincrement=False),
        sa.Column("rung", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("line", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("escalation", "rung", name="pk_escalation_rung"),
        sa.ForeignKeyConstraint(["escalation"], ["escalation.number"], name="fk_escalation_rung_escalation"),
    )


def _create_audit_event() -> None:
    op.create_table(
        "audit_event",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("item_id", NUMBER, nullable=False),
        sa.Column("body", BYTES, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_event"),
        sa.UniqueConstraint("id", name="uq_audit_event_id"),
    )
    op.create_index("ix_audit_event_action_sequence", "audit_event", ["action", "sequence"])
    op.create_index("ix_audit_event_correlation_id_sequence", "audit_event", ["correlation_id", "sequence"])
    op.create_index(
        "ix_audit_event_item", "audit_event", ["organisation", "item_id", "sequence"], **_where("item_id > 0")
    )


def _create_audit_pending() -> None:
    op.create_table(
        "audit_pending",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("leaf_hash", BYTES, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_pending"),
    )


def _create_audit_leaf() -> None:
    op.create_table(
        "audit_leaf",
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("position", NUMBER, nullable=False, autoincrement=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("leaf_hash", BYTES, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "position", name="pk_audit_leaf"),
        sa.UniqueConstraint("event_id", name="uq_audit_leaf_event_id"),
    )


def _create_audit_tile() -> None:
    op.create_table(
        "audit_tile",
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("number", NUMBER, nullable=False, autoincrement=False),
        sa.Column("data", BYTES, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "level", "number", name="pk_audit_tile"),
    )


def _create_audit_checkpoint() -> None:
    op.create_table(
        "audit_checkpoint",
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("size", NUMBER, nullable=False, autoincrement=False),
        sa.Column("note", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "size", name="pk_audit_checkpoint"),
    )


CREATE = (
    _create_setting,
    _create_inbox,
    _create_inbox_chain,
    _create_work_item,
    _create_transition,
    _create_attempt,
    _create_ledger,
    _create_content,
    _create_message,
    _create_escalation,
    _create_escalation_rung,
    _create_audit_event,
    _create_audit_pending,
    _create_audit_leaf,
    _create_audit_tile,
    _create_audit_checkpoint,
)
TABLES = (
    "setting",
    "inbox",
    "inbox_chain",
    "work_item",
    "transition",
    "attempt",
    "ledger",
    "content",
    "message",
    "escalation",
    "escalation_rung",
    "audit_event",
    "audit_pending",
    "audit_leaf",
    "audit_tile",
    "audit_checkpoint",
)
