"""A model's answer becomes a proposal only if it is what was asked for; its hash commits to all of it."""

import json
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pointsman.contracts.base import Json
from pointsman.contracts.work_items import Proposal
from pointsman.domain.answers import ANSWER_SCHEMA, Answer, read_answer
from pointsman.domain.edits import edit
from pointsman.domain.proposals import (
    COMMENT_CHARS_MAX,
    FIELDS_MAX,
    NUMBER_MAX,
    TAG_CHARS_MAX,
    TAGS_MAX,
    VALUE_CHARS_MAX,
    InvalidAnswer,
    canonical,
    fields_to_approve,
    refer,
    summarise,
)
from tests.domain.samples import AGENT, values

PRIORITY = "Microsoft.VSTS.Common.Priority"

proposals = st.builds(
    Proposal,
    comment=st.text(max_size=10),
    fields=st.dictionaries(
        st.sampled_from([PRIORITY, "System.State", "Custom.x"]), st.text(max_size=5) | st.integers()
    ),
    tags=st.lists(st.text("ab", min_size=1, max_size=2), max_size=2).map(tuple),
)


def document(**parts: Json) -> str:
    whole: dict[str, Json] = {"comment": "Known crane.", "fields": [], "tags": [], "links": [], "question": "", **parts}
    return json.dumps(whole)


def field(name: str, value: Json) -> Json:
    return {"name": name, "value": value}


def read(text: str) -> Answer:
    return read_answer(text, AGENT)


def test_a_full_answer_becomes_a_proposal() -> None:
    fields = [field(PRIORITY, 2), field("System.State", "Resolved")]
    answer = read(document(fields=fields, tags=["triaged"]))
    assert answer.proposal == Proposal(
        comment="Known crane.", fields={PRIORITY: 2, "System.State": "Resolved"}, tags=("triaged",)
    )
    assert (answer.question, answer.dropped) == ("", ())


def test_what_the_agent_may_not_change_is_left_out_and_named_once() -> None:
    answer = read(document(fields=[field("System.AreaPath", "Quay"), field(PRIORITY, 1)]))
    assert answer.proposal.fields == {PRIORITY: 1}
    assert answer.dropped == ("System.AreaPath",)


def test_tags_are_dropped_where_the_agent_may_not_tag() -> None:
    agent = AGENT.model_copy(update={"may_change": (PRIORITY,)})
    answer = read_answer(document(tags=["x"]), agent)
    assert (answer.proposal.tags, answer.dropped) == ((), ("System.Tags",))


def test_tags_among_the_fields_are_tags() -> None:
    answer = read(document(fields=[field("System.Tags", "crane; noon, Crane ")], tags=["Noon"]))
    assert (answer.proposal.fields, answer.proposal.tags) == ({}, ("Noon", "crane"))


def test_a_question_needs_no_proposal() -> None:
    answer = read(document(comment="", question=" Which crane? "))
    assert (answer.question, answer.proposal) == ("Which crane?", Proposal())


@pytest.mark.parametrize("fence", ["```json\n{}\n```", " \n```\n{}\n```\n", "```JSON\r\n{}\n  ```"])
def test_one_fence_around_the_answer_is_tolerated(fence: str) -> None:
    assert read(fence.replace("{}", document())).proposal.comment == "Known crane."


def test_two_fences_are_no_answer() -> None:
    with pytest.raises(InvalidAnswer, match="Invalid JSON"):
        read(f"```json\n```json\n{document()}\n```\n```")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "answer: Invalid JSON"),
        ("I set the priority to 2.", "answer: Invalid JSON"),
        ("null", "answer: Input should be"),
        ("[" * 100_000, "answer: Invalid JSON: recursion limit"),
        ('{"a":' * 100_000, "answer: Invalid JSON: recursion limit"),
        ('{"comment": "x"}', "fields: Field required; tags: Field required; question: Field required"),
        (document(extra=1), "extra: Extra inputs are not permitted"),
        (document(comment=7), "comment: Input should be a valid string"),
        (document(comment="x" * (COMMENT_CHARS_MAX + 1)), f"comment: String should have at most {COMMENT_CHARS_MAX}"),
        (document(comment="", question=" "), "the answer is empty"),
        (document(comment="", fields=[field("System.Title", "x")]), "nothing is left of the answer: System.Title may"),
        (document(fields=[field(PRIORITY, 1), field(PRIORITY, 2)]), f"field {PRIORITY}: is given twice"),
        (document(fields=[field("/fields/x", 1)]), "field '/fields/x': is no reference name"),
        (document(fields=[field("", 1)]), "field '': is no reference name"),
        (document(fields=[field("System.History", "x")]), "field System.History: what to say goes into the comment"),
        (document(fields=[field(PRIORITY, True)]), "fields.0.value"),
        (document(fields=[field(PRIORITY, None)]), "fields.0.value"),
        (document(fields=[field(PRIORITY, [1])]), "fields.0.value"),
        (document(fields=[field(PRIORITY, float("nan"))]), f"field {PRIORITY}: the number must be finite"),
        (document(fields=[field(PRIORITY, float("inf"))]), f"field {PRIORITY}: the number must be finite"),
        (document(fields=[field(PRIORITY, 10**400)]), f"field {PRIORITY}: the number must be finite"),
        (document(fields=[field(PRIORITY, -NUMBER_MAX - 1)]), f"at most {NUMBER_MAX}"),
        (
            document(fields=[field(PRIORITY, "x" * (VALUE_CHARS_MAX + 1))]),
            f"{VALUE_CHARS_MAX + 1:,} characters, the limit",
        ),
        (document(fields=[field(f"Custom.x{i}", i) for i in range(FIELDS_MAX + 1)]), f"at most {FIELDS_MAX} items"),
        (document(tags=["x"] * (TAGS_MAX + 1)), f"at most {TAGS_MAX} items"),
        (document(tags=["a;b"]), "tag 'a;b': a tag is one line"),
        (document(tags=["a,b"]), "tag 'a,b': a tag is one line"),
        (document(tags=["a\nb"]), "a tag is one line"),
        (document(tags=[" "]), "tag ' ': a tag is one line"),
        (document(tags=["x" * (TAG_CHARS_MAX + 1)]), f"1 to {TAG_CHARS_MAX} characters"),
        (document(tags=["\x00"]), "tag '': a tag is one line"),
        ('{"comment": "\\ud800", "fields": [], "tags": [], "question": ""}', "Invalid JSON"),
    ],
)
def test_an_answer_that_does_not_hold_says_why(text: str, told: str) -> None:
    with pytest.raises(InvalidAnswer, match=told):
        read(text)


def test_what_an_answer_quotes_of_an_item_does_not_stop_it() -> None:
    answer = read(
        document(
            comment="Known\x07:\n\tcrane", question="a\x1b[31m?", tags=["a\x00"], fields=[field(PRIORITY, "a\x9b")]
        )
    )
    assert (answer.proposal.comment, answer.question) == ("Known:\n\tcrane", "a[31m?")
    assert (answer.proposal.tags, answer.proposal.fields) == (("a",), {PRIORITY: "a"})


def test_what_is_just_within_the_limits_holds() -> None:
    fields = [field(PRIORITY, NUMBER_MAX), field("System.State", "x" * VALUE_CHARS_MAX)]
    answer = read(document(comment="x" * COMMENT_CHARS_MAX, fields=fields, tags=["x" * TAG_CHARS_MAX]))
    assert len(answer.proposal.fields) == 2
    edits: dict[str, Json] = {f"Custom.x{number}": number for number in range(FIELDS_MAX)}
    assert edit(Proposal(), edits).fields == edits


@given(st.text() | st.text('{}[]":,\\`\n0e-nulltrue', max_size=40))
def test_any_text_is_an_answer_or_invalid(text: str) -> None:
    with pytest.raises(InvalidAnswer):
        read(text)


@given(
    comment=values | st.text(),
    fields=st.lists(st.builds(field, st.text(max_size=9) | st.sampled_from([PRIORITY, "System.Tags"]), values))
    | values,
    tags=st.lists(st.text(max_size=9)) | values,
    question=st.text() | values,
)
def test_any_json_of_that_shape_is_an_answer_or_invalid(
    comment: Json, fields: Json, tags: Json, question: Json
) -> None:
    text = document(comment=comment, fields=fields, tags=tags, question=question)
    with suppress(InvalidAnswer):
        _holds(text, read(text))


def _holds(text: str, answer: Answer) -> None:
    Draft202012Validator(ANSWER_SCHEMA).validate(json.loads(text))
    assert answer.question or answer.proposal != Proposal()
    assert not answer.proposal.fields.keys() - set(AGENT.may_change)
    assert Proposal.model_validate_json(canonical(answer.proposal)) == answer.proposal


@given(proposals, proposals)
def test_two_proposals_have_one_hash_only_if_they_are_equal(left: Proposal, right: Proposal) -> None:
    assert (refer(left).hash == refer(right).hash) == (left == right)


@given(proposals)
def test_the_hash_is_of_the_bytes_that_are_stored_whatever_the_order_of_fields(proposal: Proposal) -> None:
    assert refer(proposal).hash == sha256(canonical(proposal)).hexdigest()
    turned = proposal.model_copy(update={"fields": dict(reversed(proposal.fields.items()))})
    assert canonical(turned) == canonical(proposal)
    assert Proposal.model_validate_json(canonical(proposal)) == proposal


@pytest.mark.parametrize(
    "other",
    [
        Proposal(comment="a ", fields={"f": 1}, tags=("t",)),
        Proposal(comment="a", fields={"f": "1"}, tags=("t",)),
        Proposal(comment="a", fields={"f": 1, "g": None}, tags=("t",)),
        Proposal(comment="a", fields={"f": 1}, tags=("T",)),
        Proposal(comment="a", fields={"f": 1}, tags=("t", "u")),
    ],
)
def test_any_change_of_content_changes_the_hash(other: Proposal) -> None:
    assert refer(other).hash != refer(Proposal(comment="a", fields={"f": 1}, tags=("t",))).hash


def test_a_proposal_is_told_in_one_line() -> None:
    proposal = Proposal(comment="x" * 9, fields={"System.State": "Re\nsolved"}, tags=("a", "b"))
    assert summarise(proposal) == "System.State = Re solved, tags + a, b, comment of 9 characters"
    assert summarise(Proposal()) == "nothing"
    reference = refer(proposal)
    assert (reference.fields, reference.tags, reference.comment_chars) == (("System.State",), ("a", "b"), 9)


def test_a_human_approves_what_policy_names_tags_included() -> None:
    reference = refer(Proposal(fields={"System.State": "x", PRIORITY: 1}, tags=("a",)))
    assert fields_to_approve(AGENT, reference) == ("System.State",)
    careful = AGENT.model_copy(update={"needs_approval": ("System.Tags",)})
    assert fields_to_approve(careful, reference) == ("System.Tags",)
    assert fields_to_approve(careful, refer(Proposal(comment="x"))) == ()


def test_an_edit_replaces_adds_and_takes_out() -> None:
    proposal = Proposal(comment="old", fields={"System.State": "Resolved", PRIORITY: 1}, tags=("a",))
    edited = edit(
        proposal, {"comment": "new", "tags": ["b", "B "], "System.State": None, "System.Title": "t", "X": True}
    )
    assert edited == Proposal(comment="new", fields={PRIORITY: 1, "System.Title": "t", "X": True}, tags=("b",))
    assert proposal.fields == {"System.State": "Resolved", PRIORITY: 1}


@given(proposals)
def test_no_edits_change_nothing(proposal: Proposal) -> None:
    assert edit(proposal, {}) == proposal
    assert edit(proposal, {"Custom.absent": None}) == proposal


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({"comment": None}, "comment: must be text"),
        ({"comment": "x" * (COMMENT_CHARS_MAX + 1)}, f"at most {COMMENT_CHARS_MAX}"),
        ({"comment": "\x00"}, "control character"),
        ({"tags": "a; b"}, f"tags: must be a list of at most {TAGS_MAX} texts"),
        ({"System.Tags": "a"}, "tags: must be a list"),
        ({"tags": [1]}, "tags: must be a list of texts"),
        ({"tags": ["a"] * (TAGS_MAX + 1)}, f"at most {TAGS_MAX}"),
        ({"tags": ["a;b"]}, "a tag is one line"),
        ({"System.State": {"a": 1}}, "field System.State: dict cannot be a field's value"),
        ({"System.State": ["a"]}, "list cannot be"),
        ({"System.State": float("nan")}, "must be finite"),
        ({"no name": 1}, "is no reference name"),
        ({f"Custom.x{i}": i for i in range(FIELDS_MAX + 1)}, f"the limit is {FIELDS_MAX}"),
    ],
)
def test_an_edit_that_cannot_be_written_is_refused(edits: dict[str, Json], told: str) -> None:
    with pytest.raises(InvalidAnswer, match=told):
        edit(Proposal(), edits)


@given(proposals, st.dictionaries(st.sampled_from(["comment", "tags", "System.State"]) | st.text(max_size=5), values))
def test_any_edits_make_a_proposal_or_are_invalid(proposal: Proposal, edits: dict[str, Json]) -> None:
    with suppress(InvalidAnswer):
        edited = edit(proposal, edits)
        assert Proposal.model_validate_json(canonical(edited)) == edited
