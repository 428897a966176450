"""Where an item goes next: after its facts, after a turn, after a decision, after a write, after an event.

Pure decisions of `DeliverWorkItem`; the workflow keeps the order and does the waiting.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import EscalationKind, Resolution, Verb
from pointsman.contracts.lifecycle import Ask, Carry, End, FieldConflict, Stage
from pointsman.contracts.policy import AgentPolicy, Ladder, Policy, RoutingDecision, Rung, Severity
from pointsman.contracts.turns import TurnEnd, TurnResult
from pointsman.contracts.work_items import EventKind, Facts, ProposalRef, WorkItemEvent, WorkItemState
from pointsman.domain.decisions import verbs_for
from pointsman.domain.loose import as_written
from pointsman.domain.proposals import fields_to_approve
from pointsman.domain.routing import in_scope, match_facts, route

# What stands when policy names no ladder for a severity: one rung, three days, then the item is parked.
DEFAULT_RUNGS = (Rung(notify=("log",), wait=timedelta(days=3)),)
RESOLVE = "pointsman sync resolve"
CELL_CHARS = 120
SEEN_MAX = 500
TOLD_MAX = 200


def covered(event: WorkItemEvent, rev: int) -> bool:
    """Whether reading the item at `rev` already took the event in. A comment's text is not among the fields read, and
    a link that came or went does not move the revision: a delivery that tells nothing may be of one."""
    plain = event.kind in (EventKind.CREATED, EventKind.UPDATED) and "System.History" not in event.changed_fields
    return plain and not (event.links_changed or event.untold) and 0 < event.rev <= rev


def after_intake(policy: Policy, facts: Facts) -> End | None:
    """Why the item is not worked on, or None."""
    if facts.deleted:
        return End(state=WorkItemState.WITHDRAWN, reason="the item is in the recycle bin")
    if in_scope(policy, match_facts(facts)) is None:
        return End(state=WorkItemState.WITHDRAWN, reason=f"out of scope of all {len(policy.scope)} scope rules")
    return None


def is_ruled(policy: Policy, carry: Carry) -> bool:
    """Whether an item out of scope is checked as things happen to it: policy names its project, or it was worked on."""
    assert carry.facts is not None, "facts are read before it is known whether the item is in scope"
    place = (carry.facts.key.organisation.casefold(), carry.facts.key.project.casefold())
    named = {(one.organisation.casefold(), one.project.casefold()) for one in policy.process.projects}
    return place in named or carry.turns > 0 or carry.escalations > 0


def is_elsewhere(before: Facts, after: Facts) -> bool:
    """Whether the item moved: to another project, area or type. It is the same item, and is routed anew."""
    return _place(before) != _place(after)


def _place(facts: Facts) -> tuple[str, str, str]:
    return facts.key.project.casefold(), facts.area_path.casefold(), facts.type.casefold()


def leads_elsewhere(policy: Policy, facts: Facts, agent: str) -> bool:
    """Whether what is done for the item is in vain: it is out of scope now, or another agent's."""
    known = match_facts(facts)
    return in_scope(policy, known) is None or route(policy, known).agent != agent


def ask_routing(policy: Policy, decision: RoutingDecision, facts: Facts) -> Ask:
    agents = tuple(agent.name for agent in policy.agents)
    return Ask(
        kind=EscalationKind.ROUTING,
        severity=Severity.MEDIUM,
        summary=f"Which agent takes {facts.type} {facts.key.id}, {facts.title!r}? {decision.reason}.",
        details="Agents: " + "; ".join(f"`{agent.name}` {agent.description}" for agent in policy.agents),
        allowed=verbs_for(EscalationKind.ROUTING),
        choices=agents,
    )


def after_turn(agent: AgentPolicy, result: TurnResult) -> Ask | None:
    """What a human must be asked after a turn; None when the proposal may go out as it is."""
    if result.end is TurnEnd.ANSWERED and result.proposal is not None:
        return _ask_approval(agent, result.proposal, result)
    if result.end is TurnEnd.QUESTION:
        return _ask(EscalationKind.QUESTION, agent.approval_severity, f"The agent asks: {result.reason}", result)
    if result.end is TurnEnd.LIMIT:
        summary = f"The turn stopped at a limit: {result.reason}. Approve to grant the same again."
        return _ask(EscalationKind.LIMIT, Severity.MEDIUM, summary, result)
    return _ask(
        EscalationKind.FAILURE, Severity.HIGH, f"The turn came to nothing: {result.reason or result.end}", result
    )


def nothing_left(result: TurnResult) -> End | None:
    """How an item ends where all that its agent proposed is so already; None where something is left to write."""
    left = result.proposal
    if left is None or not result.unchanged or left.fields or left.tags or left.links or left.comment_chars:
        return None
    return End(state=WorkItemState.DONE, reason=f"nothing to write{told_unchanged(result.unchanged)}")


def told_unchanged(names: Sequence[str]) -> str:
    """Behind a reason; empty for none."""
    return f"; left out, because it is so already: {', '.join(names)}"[:300] if names else ""


def _ask_approval(agent: AgentPolicy, proposal: ProposalRef, result: TurnResult) -> Ask | None:
    fields = fields_to_approve(agent, proposal)
    if not fields:
        return None
    return Ask(
        kind=EscalationKind.APPROVAL,
        severity=agent.approval_severity,
        summary=f"Agent {agent.name} wants to write {proposal.summary}; a human must approve {', '.join(fields)}.",
        details="\n\n".join(filter(None, [_quoted(proposal), _left_out(result.dropped), _so(result.unchanged)])),
        allowed=verbs_for(EscalationKind.APPROVAL),
        proposal=proposal,
        retry=Stage.PUBLISHING,
    )


def _quoted(proposal: ProposalRef) -> str:
    """The comment as a quotation: it is the model's text, not ours."""
    if not proposal.comment_start:
        return ""
    more = " ..." if proposal.comment_chars > len(proposal.comment_start) else ""
    lines = [f"> {line}" for line in f"{proposal.comment_start}{more}".splitlines()]
    return "The comment says:\n\n" + "\n".join(lines)


def _left_out(dropped: Sequence[str]) -> str:
    return f"Not allowed to it, and left out: {', '.join(dropped)}." if dropped else ""


def _so(unchanged: Sequence[str]) -> str:
    return f"So already, and left out: {', '.join(unchanged)}." if unchanged else ""


def _ask(kind: EscalationKind, severity: Severity, summary: str, result: TurnResult) -> Ask:
    used = result.usage
    done = (
        f"Done so far: {used.model_calls} model calls, {used.tool_calls} tool calls, "
        f"{used.input_tokens + used.output_tokens} tokens, {used.cost_usd} USD in {result.seconds:.0f} s."
    )
    return Ask(kind=kind, severity=severity, summary=summary, details=done, allowed=verbs_for(kind))


def ask_failure(what: str, reason: str, retry: Stage, proposal: ProposalRef | None = None) -> Ask:
    """What no retry mends. `proposal` is what could not be written: people may change it."""
    how = "edit what is to be written (a value for a field is written, null leaves what is there); " if proposal else ""
    return Ask(
        kind=EscalationKind.FAILURE,
        severity=Severity.HIGH,
        summary=f"{what} failed, and trying again by itself does not help: {reason}",
        details=f"Mend the cause, then approve to try again; {how}reject to give the item up.",
        allowed=(Verb.APPROVE, Verb.EDIT, Verb.REJECT) if proposal else (Verb.APPROVE, Verb.REJECT),
        proposal=proposal,
        retry=retry,
    )


def ask_conflict(conflicts: Sequence[FieldConflict], proposal: ProposalRef) -> Ask:
    rows = "\n".join(
        f"| {one.field} | {_cell(one.base)} | {_cell(one.ours)} | {_cell(one.theirs)} | {_strategy(one)} |"
        for one in conflicts
    )
    how = (
        "Approve: mine stands in each. To decide field by field, edit: a value for a field is written, null leaves "
        f"theirs. Or on the command line: `{RESOLVE} ITEM --field NAME --take mine`, theirs, base, or a value."
    )
    return Ask(
        kind=EscalationKind.CONFLICT,
        severity=Severity.MEDIUM,
        summary=f"Somebody else changed {', '.join(one.field for one in conflicts)} meanwhile. Approve: ours stands.",
        details=f"| Field | base | mine | theirs | policy |\n| --- | --- | --- | --- | --- |\n{rows}\n\n{how}",
        allowed=verbs_for(EscalationKind.CONFLICT),
        proposal=proposal,
        fields=tuple(one.field for one in conflicts),
        retry=Stage.PUBLISHING,
    )


def _strategy(one: FieldConflict) -> str:
    return _cell(f"{one.strategy}: {one.reason}" if one.reason else one.strategy.value)


def ask_quarantine(why: str, proposal: ProposalRef) -> Ask:
    """Nothing more is written to the item until somebody has looked at what writes so often."""
    return Ask(
        kind=EscalationKind.FAILURE,
        severity=Severity.CRITICAL,
        summary=f"Not written, and the item is in quarantine: {why}",
        details=(
            f"To be written was: {proposal.summary}.\n\nLook at what happened (`pointsman sync status`, "
            "`pointsman items show ITEM`). Approve to let the item out of quarantine and write; reject to give it up."
        ),
        allowed=(Verb.APPROVE, Verb.REJECT),
        retry=Stage.PUBLISHING,
    )


def _cell(value: Json) -> str:
    told = " ".join(str(as_written(value)).split()) if value not in (None, "") else "(empty)"
    return (told if len(told) <= CELL_CHARS else f"{told[: CELL_CHARS - 1]}…").replace("|", "\\|")


def after_decision(ask: Ask, resolution: Resolution) -> End | Stage:
    """Where the item goes once a human decided, or nobody did. Only a decision leads on."""
    if resolution.outcome == "withdrawn":
        return End(state=WorkItemState.WITHDRAWN, reason=f"the {ask.kind} was withdrawn")
    if resolution.outcome == "expired" or resolution.verb is None:
        return End(state=WorkItemState.PARKED, reason=f"nobody decided on the {ask.kind}: all rungs passed")
    if resolution.verb is Verb.REJECT:
        failed = ask.kind is EscalationKind.FAILURE
        state = WorkItemState.FAILED if failed else WorkItemState.PARKED
        return End(state=state, reason=f"{ask.kind} rejected by {resolution.by}: {resolution.comment}"[:500])
    if resolution.verb is Verb.RESPOND:
        return Stage.WORKING
    return ask.retry


def ladder_for(policy: Policy, severity: Severity) -> Ladder:
    found = next((ladder for ladder in policy.ladders if ladder.severity is severity), None)
    return found or Ladder(severity=severity, rungs=DEFAULT_RUNGS)


def remember(seen: Sequence[str], key: str) -> tuple[str, ...]:
    """The last idempotency keys, so that a repeated hand-over has no effect and the memory stays bounded."""
    return (*seen[-(SEEN_MAX - 1) :], key)


def tell_once(told: Sequence[str], news: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What of `news` was not told yet, each once, and what has been told after it: the last `TOLD_MAX`.

    Two events of one comment come one close behind the other, so that both are within reach. One that comes again
    behind `TOLD_MAX` others is told a second time; nothing is ever left untold because of the bound.
    """
    known = set(told)
    fresh = tuple(dict.fromkeys(one for one in news if one not in known))
    return fresh, (*told, *fresh)[-TOLD_MAX:]


def question_hash(ask: Ask, number: int) -> str:
    """What a decision on a question without a proposal is bound to: the question, and which one of the item it is."""
    return sha256(f"{number}\n{ask.kind}\n{ask.summary}\n{ask.details}".encode()).hexdigest()
