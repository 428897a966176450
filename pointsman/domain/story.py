"""What Temporal's own UI tells people: current details and summaries, in Markdown."""

from pointsman.contracts.escalations import Decision, Escalation, Refusal
from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Usage, WorkItemKey

SUMMARY_BYTES_MAX = 200  # Temporal cuts a summary there


def summary(text: str) -> str:
    """One line, short enough."""
    return " ".join(text.split()).encode(errors="replace")[: SUMMARY_BYTES_MAX - 20].decode(errors="ignore")


def item(request: DeliverRequest, carry: Carry) -> str:
    """Where a work item stands."""
    facts = carry.facts
    title = f"### {facts.type} {request.key.id}: {facts.title}" if facts else f"### Work item {request.key.id}"
    lines = [
        title,
        f"**{carry.state or 'received'}**" + (f": {carry.reason}" if carry.reason else ""),
        "",
        f"- agent: {carry.agent or 'not chosen yet'}",
        f"- turns: {carry.turns}, escalations: {carry.escalations}",
        f"- used: {usage(carry.usage)}",
        f"- waited for humans: {carry.waited_seconds:.0f} s",
        f"- correlation: `{request.correlation_id}`",
    ]
    if facts and facts.url:
        lines.append(f"- [work item in Azure DevOps]({facts.url})")
    return "\n".join(lines)


def usage(used: Usage) -> str:
    tokens = used.input_tokens + used.output_tokens
    return f"{used.model_calls} model calls, {used.tool_calls} tool calls, {tokens} tokens, {used.cost_usd} USD"


def turn(request: TurnRequest, step: int, used: Usage, doing: str) -> str:
    return (
        f"### Turn {request.number} of agent {request.agent.name}\n**step {step}**: {doing}\n\n"
        f"- model: {request.agent.model}\n- used: {usage(used)}\n- correlation: `{request.correlation_id}`"
    )


def escalation(
    workflow_id: str,
    asked: Escalation,
    escalation_id: str,
    rung: int,
    refusals: list[Refusal],
    decision: Decision | None,
) -> str:
    """The question, and how to answer it from here."""
    lines = [
        f"### {escalation_id or 'Escalation'}: {asked.kind}, {asked.severity}",
        asked.summary,
        "",
        asked.details,
        "",
    ]
    if decision is not None:
        lines.append(f"**{decision.verb}** by {decision.by}: {decision.comment}")
    else:
        lines += [
            f"Rung {rung} of {len(asked.ladder.rungs)}. Possible: {', '.join(asked.allowed)}.",
            "",
            *how_to_decide(workflow_id, asked, escalation_id),
        ]
    lines += [f"- not taken ({one.by or 'unknown'}): {one.reason}" for one in refusals]
    return "\n".join(lines)


def how_to_decide(workflow_id: str, asked: Escalation, escalation_id: str) -> list[str]:
    """Three ways to the same decision. Inline code, because Temporal's UI cuts long lines of a block."""
    verb = asked.allowed[0]
    comment = ', "comment": "..."' if verb in ("respond", "reject") else ""
    document = f'{{"verb": "{verb}", "by": "YOU", "subject": "{asked.subject[:12]}"{comment}}}'
    flag = ' --comment "..."' if comment else ""
    return [
        f"- Temporal's UI: More Actions, Send a Signal, name `decide`, input `{document}`",
        f"- our command: `pointsman escalations {verb} {escalation_id or 'ESC'}{flag}`",
        f"- Temporal's: `temporal workflow signal --workflow-id '{workflow_id}' --name decide --input '{document}'`",
    ]


def notification(asked: Escalation, escalation_id: str, workflow_id: str) -> str:
    return "\n".join([asked.summary, "", asked.details, "", *how_to_decide(workflow_id, asked, escalation_id)]).strip()


def item_name(key: WorkItemKey) -> str:
    return f"{key.organisation}/{key.project} #{key.id}"
