"""What Temporal's own UI shows: where an item stands, what is asked, and the commands that answer it."""

import json
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Refusal, Verb
from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Usage, WorkItemState
from pointsman.domain import decisions, story
from tests.domain.samples import AGENT, FACTS, KEY, POLICY, escalation

REQUEST = DeliverRequest(key=KEY, tenant="default", correlation_id="c-1", policy=POLICY)
USED = Usage(model_calls=2, tool_calls=3, input_tokens=10, output_tokens=5, cost_usd="0.02")
ID = "ado/harbour/Quay/41/escalation-1"
APPROVAL = escalation(EscalationKind.APPROVAL, decisions.verbs_for(EscalationKind.APPROVAL))
QUESTION = escalation(EscalationKind.QUESTION, decisions.verbs_for(EscalationKind.QUESTION))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=story.JOINER)))
def test_a_summary_is_one_short_line_of_what_it_was_made_of(text: str) -> None:
    summary = story.summary(text)
    assert len(summary.encode()) < story.SUMMARY_BYTES_MAX
    assert " ".join(text.split()).startswith(summary.replace(story.JOINER, ""))


@pytest.mark.parametrize("text", ["é" * 300, "\N{PERSON WITH FOLDED HANDS}" * 100])
def test_a_long_summary_is_cut_but_never_within_a_character(text: str) -> None:
    assert set(story.summary(text)) == set(text)
    assert len(story.summary(text).encode()) < story.SUMMARY_BYTES_MAX


def test_an_item_is_told_from_its_first_moment_on() -> None:
    told = story.item(REQUEST, Carry())
    assert told.splitlines()[:2] == ["### Work item 41", "**received**"]
    assert "- agent: not chosen yet" in told
    assert "Azure DevOps" not in told


def test_an_item_at_work_tells_agent_use_and_links() -> None:
    carry = Carry(
        facts=FACTS,
        state=WorkItemState.WORKING,
        reason="turn 1",
        agent="triage",
        turns=1,
        escalations=2,
        usage=USED,
        waited_seconds=61.6,
    )
    assert story.item(REQUEST, carry).splitlines() == [
        "### Bug 41: Crane stops at noon",
        "**working**: turn 1",
        "",
        "- agent: triage",
        "- turns: 1, escalations: 2",
        "- used: 2 model calls, 3 tool calls, 15 tokens, 0.02 USD",
        "- waited for humans: 62 s",
        "- correlation: `c-1`",
        f"- [work item in Azure DevOps]({FACTS.url})",
        *story.BOTTOM,
    ]


def test_a_turn_tells_its_step_and_what_it_does() -> None:
    request = TurnRequest(
        key=KEY, tenant="default", correlation_id="c-1", number=2, transcript="t", agent=AGENT, facts=FACTS
    )
    told = story.turn(request, 3, USED, "calls get_work_item")
    assert told.startswith("### Turn 2 of agent triage\n**step 3**: calls get_work_item\n")
    assert "- model: m-1\n- used: 2 model calls" in told


def test_a_pending_question_tells_its_rung_and_how_to_answer() -> None:
    told = story.escalation(ID, QUESTION, "ESC-7", 1, [], None)
    assert told.startswith(
        "### ESC-7: question, high\nwork item in harbour/Quay #41, agent triage\n\nIs it so?\n\nIt may be."
    )
    assert "Rung 1 of 1. Possible: respond, reject." in told
    assert 'pointsman escalations respond ESC-7 --comment "..."' in told


def test_a_decided_question_tells_by_whom_and_what_was_not_taken() -> None:
    refused = [Refusal(number=1, reason="late: approve by ada stands", by="bo"), Refusal(number=2, reason="not JSON")]
    told = story.escalation(ID, APPROVAL, "", 1, refused, Decision(verb=Verb.APPROVE, by="ada", comment="fine"))
    assert told.startswith("### Escalation: approval, high")
    assert "**Not taken:**\n\n- somebody: `not JSON`\n- bo: `late: approve by ada stands`\n\n" in told
    assert "**approve** by ada: fine" in told
    assert "temporal workflow signal" not in told


def test_a_closed_question_asks_nobody_to_answer() -> None:
    told = story.escalation(ID, APPROVAL, "ESC-7", 2, [], None, "nobody decided in time")
    assert "**nobody decided in time**: nothing is asked any more" in told
    assert "Possible" not in told
    assert "signal" not in told


def test_a_question_leads_to_its_work_item() -> None:
    asked = APPROVAL.model_copy(update={"title": "Bug 41: List<int> [sic]", "url": "https://ado.example/41"})
    told = story.escalation(ID, asked, "ESC-7", 1, [], None)
    assert r"[Bug 41: List\<int\> \[sic\]](https://ado.example/41) in harbour/Quay #41, agent triage" in told


def test_of_many_that_were_not_taken_the_newest_are_shown() -> None:
    refused = [Refusal(number=number, reason=f"reason {number}") for number in range(1, 9)]
    told = story.escalation(ID, APPROVAL, "ESC-7", 1, refused, None)
    assert told.index("reason 8") < told.index("reason 4") < told.index("- and 3 before")
    assert "reason 3" not in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Fix __init__ of List<int>", r"Fix \_\_init\_\_ of List\<int\>"),
        ("from $5 to *$6*\n# not a title", r"from \$5 to \*\$6\* # not a title"),
        ("run with --force -- now", r"run with \-\-force -- now"),
        ("snake_case [here](http://x)", r"snake_case \[here\](http://x)"),
    ],
)
def test_text_of_others_stays_text(text: str, shown: str) -> None:
    assert story.literal(text) == shown


@pytest.mark.parametrize("text", ["plain", "with `one`", "``two`` and `one`", "a\n b"])
def test_code_holds_whatever_it_is_given(text: str) -> None:
    (child,) = MarkdownIt().parseInline(story.code(text))[0].children or []
    assert (child.type, child.content) == ("code_inline", " ".join(text.split()))


@given(st.text("<>!-[]()/`$ab\n ", max_size=40))
def test_markdown_of_others_holds_no_html_and_no_picture(text: str) -> None:
    tamed = story.tame(text)
    assert not re.search(r"<[a-zA-Z/!?]|!\[", tamed)
    assert re.sub(rf"{story.JOINER}|\\", "", tamed) == text


def test_what_is_tamed_twice_is_tamed_once() -> None:
    assert story.tame(story.tame("costs $5 <b> ![x](y)")).count("\\$") == 1


@pytest.mark.parametrize("asked", [APPROVAL, QUESTION], ids=lambda asked: str(asked.kind))
def test_the_command_that_is_shown_is_a_decision_that_is_taken(asked: Escalation) -> None:
    line = next(line for line in story.how_to_decide(ID, asked, "ESC-7") if "`temporal " in line)
    words = shlex.split(line.split("`")[1])
    assert words[words.index("--workflow-id") + 1] == ID
    decisions.check(asked, decisions.read(words[words.index("--input") + 1].encode()))
    assert json.loads(words[-1])["verb"] == asked.allowed[0]


def test_a_notification_brings_the_question_and_the_commands() -> None:
    told = story.notification(APPROVAL, "", ID)
    assert told.startswith(
        "work item in harbour/Quay #41, agent triage\n\nIs it so?\n\nIt may be.\n\n- Temporal's UI: More"
    )
    assert "`pointsman escalations approve ESC`" in told


def test_a_notification_leads_to_the_work_item() -> None:
    asked = APPROVAL.model_copy(update={"title": "Bug 41: Login", "url": "https://ado.example/41"})
    assert story.notification(asked, "ESC-7", ID).startswith("[Bug 41: Login](https://ado.example/41) in ")


def test_an_item_has_a_name_for_people() -> None:
    assert story.item_name(KEY) == "harbour/Quay #41"
