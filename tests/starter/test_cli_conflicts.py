"""`pointsman sync conflicts` and `sync resolve`: what both sides have, and the choice that is sent as a decision."""

import json
from pathlib import Path

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Escalation, EscalationKind, Verb
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.policy import Severity
from pointsman.contracts.records import WriteIntent
from pointsman.contracts.work_items import Facts
from pointsman.store.conflicts import Conflicts, Quarantines
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from starter.cli.errors import ExitCode
from tests.starter import cli_rig
from tests.starter.cli_rig import CALLER, KEY, LADDER, SUBJECT, Rig, chain

TITLE, PRIORITY = "System.Title", "Microsoft.VSTS.Common.Priority"
CONFLICTS = (
    FieldConflict(field=TITLE, base="Login", ours="Login fails", theirs="No login"),
    FieldConflict(field=PRIORITY, base=None, ours=1, theirs=4),
)


@pytest.fixture
def rig(
    tmp_path: Path, migrated_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Rig:
    made = cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)
    monkeypatch.setenv("USER", "ada")
    made.fill(conflicts)
    return made


async def assigned(store: Store) -> None:
    ada: Json = {"displayName": "Ada", "uniqueName": "ada@x.example", "_links": {}}
    one = FieldConflict(field="System.AssignedTo", base=None, ours="noor@x.example", theirs=ada)
    await Conflicts(store).open(chain(), "run/2.1", 5, [one])


async def conflicts(store: Store) -> None:
    await Items(store).take_in(Facts(key=KEY, type="Bug", title="Login", rev=3), chain(), CALLER)
    await Conflicts(store).open(chain(), "run/1.1", 4, CONFLICTS)


ASKED = Escalation(
    key=KEY,
    tenant="default",
    correlation_id="c-1",
    number=1,
    kind=EscalationKind.CONFLICT,
    severity=Severity.MEDIUM,
    summary="Somebody else changed both",
    allowed=(Verb.APPROVE, Verb.EDIT, Verb.REJECT),
    subject=SUBJECT,
    ladder=LADDER,
)


async def question(store: Store) -> None:
    await Escalations(store).open(ASKED, CALLER)


def test_conflicts_are_listed_with_what_both_sides_have(rig: Rig) -> None:
    answer = rig.run("sync", "conflicts", "42", "--json")
    rows = json.loads(answer.out)["conflicts"]
    told = [(row["conflict"], row["field"], row["base"], row["mine"], row["theirs"], row["state"]) for row in rows]
    assert told == [
        ("CON-2", PRIORITY, None, 1, 4, "open"),
        ("CON-1", TITLE, "Login", "Login fails", "No login", "open"),
    ]
    assert rig.run("sync", "conflicts", "--exit-status").code == ExitCode.FINDINGS


def test_people_are_told_by_their_names(rig: Rig) -> None:
    rig.fill(assigned)
    rows = rig.run("sync", "conflicts", "42").out.splitlines()
    assert rows[0].split("\t")[2:6] == ["System.AssignedTo", "", "noor@x.example", "ada@x.example"]


def test_conflicts_of_an_item_are_not_those_of_its_namesake_elsewhere(rig: Rig) -> None:
    rig.fill(namesake)
    rows = json.loads(rig.run("sync", "conflicts", str(KEY), "--json").out)["conflicts"]
    assert {row["organisation"] for row in rows} == {KEY.organisation}
    assert len(json.loads(rig.run("sync", "conflicts", "--json").out)["conflicts"]) == 3


async def namesake(store: Store) -> None:
    other = chain().model_copy(update={"key": KEY.model_copy(update={"organisation": "contoso"})})
    await Conflicts(store).open(other, "run/1.1", 4, CONFLICTS[:1])


def test_settled_conflicts_are_listed_on_request_with_who_and_how(rig: Rig) -> None:
    rig.fill(settle)
    assert rig.run("sync", "conflicts", "--exit-status").out == ""
    row = json.loads(rig.run("sync", "conflicts", "--all", "--json").out)["conflicts"][-1]
    assert (row["state"], row["by"]) == ("theirs", "noor")


async def settle(store: Store) -> None:
    await Conflicts(store).settle(KEY, {TITLE: "theirs", PRIORITY: "ours"}, "noor")


def test_a_choice_is_shown_as_the_decision_that_it_is_and_a_dry_run_sends_none(rig: Rig) -> None:
    rig.fill(question)
    words = ("--field", TITLE, "--take", "theirs", "--field", PRIORITY, "--take", "2", "--dry-run", "--json")
    answer = rig.run("sync", "resolve", "42", *words)
    assert (answer.code, json.loads(answer.out)["choices"]) == (
        ExitCode.OK,
        [{"field": PRIORITY, "take": "2", "value": "2"}, {"field": TITLE, "take": "theirs", "value": "No login"}],
    )
    assert rig.run("sync", "conflicts", "--exit-status").code == ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--field", TITLE, "--take", "mine"), f"left out: {PRIORITY}"),
        (("--field", "System.State", "--take", "mine"), "Not asked about: System.State"),
        (("--take", "mine", "--take", "theirs"), "0 fields and 2 choices"),
        (("--take", "their"), "is 'theirs' meant? Nothing was decided."),
    ],
)
def test_a_choice_that_does_not_cover_the_conflict_is_refused(rig: Rig, words: tuple[str, ...], why: str) -> None:
    rig.fill(question)
    answer = rig.run("sync", "resolve", "42", *words)
    assert (answer.code, why in answer.err) == (ExitCode.USAGE, True)


async def second_question(store: Store) -> None:
    await Escalations(store).open(ASKED.model_copy(update={"fields": (TITLE,)}), CALLER)


def test_a_field_that_was_decided_on_before_is_not_asked_about_again(rig: Rig) -> None:
    rig.fill(second_question)
    rows = json.loads(rig.run("sync", "resolve", "42", "--take", "theirs", "--dry-run", "--json").out)["choices"]
    assert rows == [{"field": TITLE, "take": "theirs", "value": "No login"}]


@pytest.mark.parametrize(
    ("take", "shown"), [("ours", ("mine", 1)), ("Theirs", ("theirs", 4)), ("=their", ("their", "their"))]
)
def test_a_side_is_known_in_any_spelling_and_a_value_behind_its_sign(
    rig: Rig, take: str, shown: tuple[str, object]
) -> None:
    rig.fill(question)
    rows = json.loads(rig.run("sync", "resolve", "42", "--take", take, "--dry-run", "--json").out)["choices"]
    assert (rows[0]["take"], rows[0]["value"]) == shown


def test_a_conflict_that_nobody_is_asked_about_is_told(rig: Rig) -> None:
    assert rig.run("sync", "resolve", "42", "--take", "mine").code == ExitCode.CONFLICT


def test_an_item_without_conflict_has_nothing_to_resolve(rig: Rig) -> None:
    rig.fill(settle)
    assert rig.run("sync", "resolve", "42", "--take", "mine").code == ExitCode.NOT_FOUND


def test_status_counts_what_waits_for_a_human_and_names_what_is_in_quarantine(rig: Rig) -> None:
    rig.fill(quarantine)
    answer = rig.run("sync", "status", "--json")
    (row,) = json.loads(answer.out)["projects"]
    assert (row["project"], row["conflicts"], row["quarantined"]) == ("Web", 2, 1)
    (held,) = row["quarantines"]
    assert (held["item"], held["writes"], held["reason"]) == ("fabrikam/42", 20, "it looks like a loop")
    assert f"in quarantine since {held['since'][:10]}" in answer.err
    assert "fabrikam/42, it looks like a loop" in answer.err
    assert rig.run("sync", "status", "--exit-status").code == ExitCode.FINDINGS


def test_status_names_each_write_in_doubt(rig: Rig) -> None:
    rig.fill(intended)
    answer = rig.run("sync", "status", "--json")
    (row,) = json.loads(answer.out)["projects"]
    (doubt,) = row["doubts"]
    assert (row["in_doubt"], doubt["item"], doubt["operation"]) == (1, "fabrikam/42", "run/1.1")
    assert (doubt["writes"], doubt["base_rev"]) == (TITLE, 3)
    assert f"in doubt: {TITLE} of fabrikam/42 on revision 3, intended 20" in answer.err


async def intended(store: Store) -> None:
    intent = WriteIntent(operation="run/1.1", chain=chain(), base_rev=3, values={TITLE: "Login fails"})
    await Ledger(store).intend(intent, CALLER)


async def quarantine(store: Store) -> None:
    await Quarantines(store).put(chain(), "it looks like a loop", 20, CALLER)
