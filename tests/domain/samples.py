"""Items, agents, policies and JSON values that tests of the rules start from."""

from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Escalation, EscalationKind, Verb
from pointsman.contracts.policy import AgentPolicy, Ladder, Policy, Route, Rung, ScopeRule, Severity
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.domain.lifecycle import DEFAULT_RUNGS

KEY = WorkItemKey(organisation="harbour", project="Quay", id=41)
AGENT = AgentPolicy(
    name="triage",
    description="sets priorities",
    model="m-1",
    prompt="0" * 64,
    may_change=("System.State", "Microsoft.VSTS.Common.Priority", "System.Tags"),
    needs_approval=("System.State",),
    approval_severity=Severity.HIGH,
)
FACTS = Facts(
    key=KEY,
    type="Bug",
    title="Crane stops at noon",
    text="It stops\nat noon.",
    area_path="Quay\\Cranes\\North",
    tags=("crane", "Noon"),
    state="New",
    rev=3,
    url="https://dev.azure.com/harbour/Quay/_workitems/edit/41",
)
POLICY = Policy(
    version="1",
    scope=(ScopeRule(name="all"),),
    routes=(Route(name="everything", agent="triage"),),
    agents=(AGENT,),
    ladders=(Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("lead",), wait=DEFAULT_RUNGS[0].wait / 2),)),),
)
SUBJECT = "0123456789abcdef" * 4


def escalation(kind: EscalationKind, allowed: tuple[Verb, ...], choices: tuple[str, ...] = ()) -> Escalation:
    return Escalation(
        key=KEY,
        tenant="default",
        correlation_id="c-1",
        number=1,
        kind=kind,
        severity=Severity.HIGH,
        summary="Is it so?",
        details="It may be.",
        allowed=allowed,
        subject=SUBJECT,
        choices=choices,
        ladder=POLICY.ladders[0],
        agent="triage",
    )


names = st.text("abcxyz.", min_size=1, max_size=8)
texts = st.text(max_size=30)
scalars: st.SearchStrategy[Json] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts
)
values: st.SearchStrategy[Json] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
