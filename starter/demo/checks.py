"""What must have held when the demo is over, each with its evidence. Nothing here acts; it only compares."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pointsman.contracts.base import Json
from pointsman.contracts.records import AttemptKind, Delivery, DeliveryState
from pointsman.contracts.work_items import WorkItemState
from pointsman.domain.sync.recognising import HISTORY, TAGS, shown
from pointsman.domain.words import how_many
from pointsman.store.verification import Report
from starter.demo.inside import Told


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """Both sides' own records: the stand-ins' (attempts, writes, requests, items) and ours (inbox, told, audit)."""

    bug: Told
    closing: Told
    story: Told
    inbox: Sequence[Delivery]
    delivered: Sequence[Mapping[str, Json]]
    writes: Sequence[Mapping[str, Json]]
    requests: Sequence[Mapping[str, Json]]
    comments: Mapping[int, Sequence[str]]
    runs: Mapping[int, int]
    swapped: int
    """The item whose update was delivered before its creation."""
    killed: int
    """The item that a model request was under way for when the process was killed; 0 if none was."""
    audit: Report

    @property
    def items(self) -> tuple[Told, Told, Told]:
        return self.bug, self.closing, self.story


def all_checks(seen: Evidence) -> list[Check]:
    checks: list[Callable[[Evidence], Check]] = [
        delivered_over_http,
        repeats_recognised,
        order_restored,
        bug_routed,
        tools_together,
        answer_from_tools,
        echo_recognised,
        human_decided,
        written_once,
        one_request_repeated,
        nothing_else_repeated,
        audit_verified,
    ]
    return [check(seen) for check in checks]


def delivered_over_http(seen: Evidence) -> Check:
    answered = Counter(str(attempt["status"]) for attempt in seen.delivered)
    accepted = answered["202"]
    return Check(
        "every delivery over HTTP is in the inbox",
        accepted == len(seen.inbox) > 0,
        f"answers {dict(answered)}, inbox rows {len(seen.inbox)}",
    )


def repeats_recognised(seen: Evidence) -> Check:
    repeated = sum(bool(attempt["repeated"]) and attempt["status"] == 202 for attempt in seen.delivered)
    known = sum(row.state is DeliveryState.DUPLICATE for row in seen.inbox)
    return Check(
        "each repeated delivery is recognised",
        known == repeated > 0,
        f"{repeated} repeated, {known} known as duplicates",
    )


def order_restored(seen: Evidence) -> Check:
    first = {
        row.event_type: row.sequence
        for row in sorted(seen.inbox, key=lambda row: -row.sequence)
        if row.item_id == seen.swapped and row.state is not DeliveryState.DUPLICATE
    }
    updated, created = first.get("workitem.updated", 0), first.get("workitem.created", 0)
    runs = seen.runs[seen.swapped]
    return Check(
        "an update that came before its creation starts one run",
        0 < updated < created and runs == 1,
        f"item {seen.swapped}: updated is row {updated}, created is row {created}, {runs} run",
    )


def bug_routed(seen: Evidence) -> Check:
    reasons = [one.transition.reason for one in seen.bug.transitions if one.transition.after is WorkItemState.ROUTED]
    ok = seen.bug.row.agent == "triage" and any("rule 'bugs'" in reason for reason in reasons)
    return Check("the bug is routed by rule", ok, "; ".join(reasons))


def tools_together(seen: Evidence) -> Check:
    calls = [one for one in seen.bug.attempts if one.kind is AttemptKind.TOOL and one.subject.startswith("1/1/")]
    starts = [call.started_at for call in calls]
    ends = [call.ended_at for call in calls if call.ended_at]
    together = len(calls) == 2 and len(ends) == 2 and max(starts) < min(ends)
    return Check("two tools of one reply run at once", together, ", ".join(call.target for call in calls))


def answer_from_tools(seen: Evidence) -> Check:
    """Each item that the comment cites must be in what the tools returned, and one must be."""
    returned = " ".join(message.body.decode() for message in seen.bug.messages if message.role == "tool")
    comments = " ".join(seen.comments[seen.bug.row.key.id])
    cited = {int(number) for number in re.findall(r"#(\d+)", comments)} - {seen.bug.row.key.id}
    known = {number for number in cited if re.search(rf'\\?"id\\?":\s*{number}\b', returned)}
    values = seen.bug.writes[-1].values if seen.bug.writes else {}
    wanted = {"Microsoft.VSTS.Common.Priority", "Microsoft.VSTS.Common.Severity", TAGS, HISTORY}
    told = {name: value for name, value in shown(values).items() if name != HISTORY}
    return Check(
        "the answer is built from what the tools returned",
        bool(cited) and cited == known and wanted <= values.keys(),
        f"cites {sorted(cited)}, tools returned {sorted(known)}; wrote {json.dumps(told)}",
    )


def echo_recognised(seen: Evidence) -> Check:
    key = seen.bug.row.key
    echoes = [row for row in seen.inbox if row.state is DeliveryState.ECHO and row.item_id == key.id]
    return Check(
        "the echo of our own write causes nothing",
        bool(echoes) and seen.runs[key.id] == 1,
        f"item {key.id}: {how_many(len(echoes), 'echo')}, {how_many(seen.runs[key.id], 'run')}",
    )


def human_decided(seen: Evidence) -> Check:
    asked = seen.closing.escalations[-1] if seen.closing.escalations else None
    if asked is None or asked.decision is None or asked.closed_at is None or not seen.closing.writes:
        return Check("a human decides before the state changes", False, "no decision, or no write")
    decision, write = asked.decision, seen.closing.writes[-1]
    ok = write.intended_at >= asked.closed_at and "System.State" in write.values
    evidence = f"{asked.id}: {decision.verb} by {decision.by} through {decision.channel}, then State = "
    return Check("a human decides before the state changes", ok, f"{evidence}{write.values.get('System.State')}")


def written_once(seen: Evidence) -> Check:
    theirs = {int(str(row["item_id"])): row["count"] for row in seen.writes if str(row["by"]).startswith("pointsman")}
    ours = {told.row.key.id: sum(write.status == "written" for write in told.writes) for told in seen.items}
    return Check(
        "one write for each item, on both sides' books",
        theirs == ours == dict.fromkeys(ours, 1),
        f"Azure DevOps counts {theirs}, our ledger {ours}",
    )


def one_request_repeated(seen: Evidence) -> Check:
    bodies = Counter(str(request["body_sha256"]) for request in seen.requests)
    repeated = [request for request in seen.requests if bodies[str(request["body_sha256"])] > 1]
    doubt = [attempt for told in seen.items for attempt in told.attempts if not attempt.outcome]
    if not seen.killed:
        return Check(
            "no model request is repeated", not repeated and not doubt, how_many(len(seen.requests), "request")
        )
    steps = {str(_metadata(request).get("step")) for request in repeated}
    outcomes = [str(request["outcome"]) for request in repeated]
    ok = len(repeated) == 2 and len(doubt) == 1 and doubt[0].chain.key == seen.story.row.key and len(steps) == 1
    reason = f"attempt {doubt[0].caller.attempt} was under way when its process was killed" if doubt else "no reason"
    return Check(
        "after the kill one model request is repeated",
        ok,
        f"item {seen.killed}, {doubt[0].subject if doubt else 'no step'}: {' then '.join(outcomes)}; {reason}",
    )


def nothing_else_repeated(seen: Evidence) -> Check:
    calls = Counter(
        (told.row.key.id, attempt.subject)
        for told in seen.items
        for attempt in told.attempts
        if attempt.kind is AttemptKind.TOOL
    )
    twice = [f"{item} {subject}" for (item, subject), count in calls.items() if count > 1]
    return Check(
        "no tool call is repeated",
        not twice and bool(calls),
        f"{how_many(len(calls), 'call')}, repeated: {twice or 'none'}",
    )


def audit_verified(seen: Evidence) -> Check:
    size = sum(log.size for log in seen.audit.logs)
    found = "; ".join(map(str, seen.audit.findings[:3]))
    return Check(
        "the audit log verifies", seen.audit.ok and size > 0, found or f"{size} events under signed checkpoints"
    )


def _metadata(request: Mapping[str, Json]) -> Mapping[str, Json]:
    found = request.get("metadata")
    return found if isinstance(found, dict) else {}
