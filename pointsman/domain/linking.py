"""What is said of links of a proposal that cannot be made: to the agent that wants them, then to people."""

from collections.abc import Sequence

from pointsman.contracts.escalations import EscalationKind, Verb
from pointsman.contracts.lifecycle import Ask, ImpossibleLink, Stage
from pointsman.contracts.policy import Severity
from pointsman.contracts.work_items import ProposalRef


def why_held_back(impossible: Sequence[ImpossibleLink]) -> str:
    """For the agent whose proposal it was."""
    links = "\n".join(f"- {one.link}: {one.why}" for one in impossible)
    return (
        "Nothing of your last answer was written, because these links cannot be made:\n"
        f"{links}\n"
        "Answer again without them or with the right ones, or with a question where people must decide."
    )


def ask_links(impossible: Sequence[ImpossibleLink], proposal: ProposalRef) -> Ask:
    """What people are asked where the agent proposes such a link time and again, or people have approved it.

    An approval leaves out the links that are named: `leave_out` of `Ask`.
    """
    rows = "\n".join(f"| {_cell(one.link)} | {_cell(one.why)} |" for one in impossible)
    names = ", ".join(one.link for one in impossible)
    return Ask(
        kind=EscalationKind.FAILURE,
        severity=Severity.MEDIUM,
        summary=f"Not written: {names[:300]} cannot be made. Approve: the rest is written, {proposal.summary[:300]}.",
        details=f"| Link | Why not |\n| --- | --- |\n{rows}\n\nReject to give the write up.",
        allowed=(Verb.APPROVE, Verb.REJECT),
        proposal=proposal,
        leave_out=tuple(one.link for one in impossible),
        retry=Stage.PUBLISHING,
    )


def _cell(text: str) -> str:
    return " ".join(text.split())[:300].replace("|", "\\|")
