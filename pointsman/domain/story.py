"""What Temporal's own UI tells people: current details and summaries, in Markdown.

Its renderer is not ours: it takes HTML for HTML, so that `List<int>` loses its end and a comment hides what stands in
it; dollar signs for a formula, two hyphens for a dash. What others wrote must look as it will on the work item.
"""

import re
import shlex
from collections.abc import Sequence

from pointsman.contracts.escalations import Decision, Escalation, Refusal
from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Usage, WorkItemKey, WorkItemState

STATUS_CHARS_MAX = 500
SUMMARY_BYTES_MAX = 200  # Temporal cuts a summary there
REFUSALS_SHOWN = 5  # the newest; all are in the timeline
JOINER = "\u2060"  # seen by nobody, and what would be markup around it is text: in code, too
# Temporal's UI makes the frame of the details 32 pixels too low: the last line must be one that nobody misses.
BOTTOM = ("", "\u00a0")
MARKS = re.compile(r"[\\`*{}\[\]<>~$]|(?<![^\W_])_|_(?![^\W_])|(?<!\S)--(?=\w)")
TAG = re.compile(r"<(https?:(?=//))?")
CODE = re.compile(r"(`+[^`]*`+)")
PLAIN_MARKS = re.compile(r"(?<!\\)\$|(?<!\S)--(?=\w)")


def summary(text: str) -> str:
    """One line, short enough."""
    line = " ".join(text.split()).replace("<", f"<{JOINER}")
    return line.encode(errors="replace")[: SUMMARY_BYTES_MAX - 20].decode(errors="ignore")


def literal(text: str) -> str:
    """Somebody's text as one line of Markdown that shows it as it is."""
    return MARKS.sub(_escaped, " ".join(text.split()))


def code(text: str) -> str:
    """Somebody's text as inline code: its quotation marks stay what they are."""
    line = " ".join(text.split())
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{ticks} {line} {ticks}" if "`" in line else f"`{line}`"


def tame(markdown: str) -> str:
    """Somebody's Markdown with its formatting, but HTML, pictures, dollar signs and options as text."""
    text = TAG.sub(lambda found: f"<{JOINER}" + (f"{found[1]}{JOINER}" if found[1] else ""), markdown)
    parts = CODE.split(text.replace("![", f"!{JOINER}["))
    return "".join(part if CODE.fullmatch(part) else PLAIN_MARKS.sub(_escaped, part) for part in parts)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\{mark}" for mark in found[0])


def item(request: DeliverRequest, carry: Carry) -> str:
    """Where a work item stands."""
    facts = carry.facts
    title = f"{facts.type} {request.key.id}: {literal(facts.title)}" if facts else f"Work item {request.key.id}"
    lines = [
        f"### {title}",
        f"**{carry.state or 'received'}**" + (f": {literal(carry.reason)}" if carry.reason else ""),
        "",
        f"- agent: {literal(carry.agent) or 'not chosen yet'}",
        f"- turns: {carry.turns}, escalations: {carry.escalations}",
        f"- used: {usage(carry.usage)}",
        f"- waited for humans: {carry.waited_seconds:.0f} s",
        f"- correlation: `{request.correlation_id}`",
    ]
    if facts and facts.url:
        lines.append(f"- [work item in Azure DevOps]({facts.url})")
    return "\n".join([*lines, *BOTTOM])


def usage(used: Usage) -> str:
    tokens = used.input_tokens + used.output_tokens
    return f"{used.model_calls} model calls, {used.tool_calls} tool calls, {tokens} tokens, {used.cost_usd} USD"


def turn(request: TurnRequest, step: int, used: Usage, doing: str) -> str:
    service = request.agent.service
    lines = [
        f"### Turn {request.number} of agent {literal(request.agent.name)}",
        f"**step {step}**: {literal(doing)}",
        "",
        f"- service: {literal(service.url)}" if service else f"- model: {literal(request.agent.model)}",
        f"- used: {usage(used)}",
        f"- correlation: `{request.correlation_id}`",
    ]
    return "\n".join([*lines, *BOTTOM])


def escalation(
    workflow_id: str,
    asked: Escalation,
    escalation_id: str,
    rung: int,
    refusals: list[Refusal],
    decision: Decision | None,
    closed: str = "",
) -> str:
    """The question, what came of it, and how to answer it from here. `closed` is why nobody is asked any more."""
    lines = [
        f"### {escalation_id or 'Escalation'}: {asked.kind}, {asked.severity}",
        _about(asked),
        "",
        literal(asked.summary),
        "",
        *([tame(asked.details), ""] if asked.details else []),
        *_not_taken(refusals),
    ]
    if decision is not None:
        comment = f": {literal(decision.comment)}" if decision.comment else ""
        lines.append(f"**{decision.verb}** by {literal(decision.by)}{comment}")
    elif closed:
        lines.append(f"**{literal(closed)}**: nothing is asked any more, and nothing was approved.")
    else:
        lines += [
            f"Rung {rung} of {len(asked.ladder.rungs)}. Possible: {', '.join(asked.allowed)}.",
            "",
            *how_to_decide(workflow_id, asked, escalation_id),
        ]
    return "\n".join([*lines, *BOTTOM])


def _about(asked: Escalation) -> str:
    """Which work item, with the way to it, and whose question."""
    title = literal(asked.title) or ("work item" if asked.key.id else "the whole")
    named = f"[{title}]({asked.url})" if asked.url else title
    agent = f", agent {literal(asked.agent)}" if asked.agent else ""
    return f"{named} in {literal(item_name(asked.key))}{agent}"


def _not_taken(refusals: list[Refusal]) -> list[str]:
    """What somebody sent and expects to count: before all else that is still to do."""
    if not refusals:
        return []
    shown = [f"- {literal(one.by) or 'somebody'}: {code(one.reason)}" for one in refusals[: -REFUSALS_SHOWN - 1 : -1]]
    earlier = len(refusals) - len(shown)
    return ["**Not taken:**", "", *shown, *([f"- and {earlier} before"] if earlier else []), ""]


def left_out(signal: str, inputs: int, *, known: bool) -> str:
    """A signal that a run did not take, and why."""
    what = f"signal {code(signal)} with {inputs} input{'' if inputs == 1 else 's'}"
    return f"{what}: it does not take so many" if known else f"{what}: no signal of that name is known here"


def with_left_out(details: str, signals: Sequence[str]) -> str:
    """The details below what somebody sent and expects to count."""
    return "\n".join(["**Not taken:**", "", *(f"- {one}" for one in signals), "", details]) if signals else details


def how_to_decide(workflow_id: str, asked: Escalation, escalation_id: str) -> list[str]:
    """Three ways to the same decision. Inline code, because Temporal's UI cuts long lines of a block."""
    verb = asked.allowed[0]
    comment = ', "comment": "..."' if verb in ("respond", "reject") else ""
    document = f'{{"verb": "{verb}", "by": "YOU", "subject": "{asked.subject[:12]}"{comment}}}'
    flag = ' --comment "..."' if comment else ""
    signal = f"temporal workflow signal --workflow-id {shlex.quote(workflow_id)} --name decide --input '{document}'"
    return [
        f"- Temporal's UI: More Actions, Send a Signal, name `decide`, input `{document}`",
        f"- our command: `pointsman escalations {verb} {escalation_id or 'ESC'}{flag}`",
        f"- Temporal's: `{signal}`",
    ]


def notification(asked: Escalation, escalation_id: str, workflow_id: str) -> str:
    """Markdown: which item, what is asked, and how to answer."""
    how = how_to_decide(workflow_id, asked, escalation_id)
    return "\n".join([_about(asked), "", asked.summary, "", asked.details, "", *how]).strip()


def item_name(key: WorkItemKey) -> str:
    return f"{key.organisation}/{key.project} #{key.id}" if key.id else str(key)


def status(state: WorkItemState, reason: str) -> str:
    """One line for people on the item: what is being done about it."""
    return f"Pointsman: {state}. {' '.join(reason.split())[:STATUS_CHARS_MAX]}"
