"""Whom policy wants to hear of a violation, and in which words: each once, and never more than people can take."""

from datetime import UTC, datetime

from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.violations import ProcessViolation
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process import calls

CRITICAL, MAJOR, MINOR = CheckSeverity.CRITICAL, CheckSeverity.MAJOR, CheckSeverity.MINOR
LOUD = OnOpen(severity=CRITICAL, notify=("leads", "log"), escalate=True)
QUIET = OnOpen(severity=MINOR, notify=("log",), comment=True)


def broken(number: int, item: int = 7, severity: CheckSeverity = CRITICAL) -> ProcessViolation:
    return ProcessViolation(
        id=f"VIO-{number}",
        tenant="default",
        process="ours",
        key=WorkItemKey(organisation="fabrikam", project="Web", id=item),
        check="RDM-1",
        title="a <Bug> has a parent",
        severity=severity,
        evidence="no parent & no reason",
        opened_at=datetime(2026, 5, 4, tzinfo=UTC),
    )


def test_what_rules_of_policy_want_of_one_violation_is_done_together_and_named_once() -> None:
    assert calls.wanted((LOUD, QUIET), broken(1)) == OnOpen(
        severity=CRITICAL, notify=("leads", "log"), comment=True, escalate=True
    )
    assert calls.wanted((LOUD, QUIET), broken(1, severity=MINOR)) == QUIET
    assert not calls.concerns((LOUD,), broken(1, severity=MAJOR))


def test_of_many_violations_each_target_hears_once_and_items_and_people_are_spared() -> None:
    several = [broken(number, item=number) for number in range(1, 31)]
    plan = calls.planned((LOUD, QUIET), [*several, broken(31, severity=MINOR)])
    assert [one.id for one in plan.messages["log"]] == [f"VIO-{number}" for number in range(1, 32)]
    assert len(plan.messages["leads"]) == len(several)
    assert (len(plan.comments), len(plan.questions)) == (calls.COMMENTS_MAX, calls.QUESTIONS_MAX)
    assert len(plan.told) == 31
    assert calls.planned((LOUD,), [broken(1, severity=MINOR)]) == calls.Plan()


def test_a_message_names_some_and_says_how_many_more_there_are() -> None:
    told = calls.text([broken(number) for number in range(1, 26)])
    assert "- VIO-20 (critical): item 7 breaks RDM-1, a <Bug> has a parent. Found: no parent & no reason" in told
    assert "VIO-21" not in told
    assert "- and 5 more: `pointsman process violations --project 'Web'`" in told
    assert told.endswith("`pointsman process acknowledge VIO-1 --reason ...`")
    assert calls.subject("fabrikam/Web", [broken(1)]) == "VIO-1: item 7 of fabrikam/Web breaks RDM-1"
    assert calls.subject("fabrikam/Web", [broken(1), broken(2)]) == "2 rules are broken in fabrikam/Web"


def test_words_of_others_are_text_in_a_comment() -> None:
    told = calls.comment([broken(1)])
    assert "a &lt;Bug&gt; has a parent. Found: no parent &amp; no reason <em>VIO-1</em>" in told
