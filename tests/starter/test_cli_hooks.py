"""`pointsman hooks` against the stand-in: subscriptions come to what policy wants, whatever happens on the way."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pointsman.contracts.base import Json
from tests.starter.cli_rig import Answer
from tests.starter.hooks_rig import NEW, OLD, HooksRig, command_line, hooks_rig

FIVE = [(f"workitem.{event}", "enabled") for event in ("commented", "created", "deleted", "restored", "updated")]
LOST: dict[str, Json] = {"method": "POST", "path": "hooks/subscriptions", "after": True, "drop": True}


@pytest.fixture
async def rig(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[HooksRig]:
    async with hooks_rig(command_line(tmp_path / "data", capsys, monkeypatch), monkeypatch) as made:
        yield made


def actions(answer: Answer) -> list[str]:
    return [line.split("\t")[1] for line in answer.out.splitlines()]


async def test_ensure_makes_what_policy_wants_once(rig: HooksRig) -> None:
    tried = await rig.run("ensure", "--dry-run")
    assert (tried.code, actions(tried), await rig.there()) == (9, ["create"] * 5, [])
    made = await rig.run("ensure")
    assert (made.code, actions(made)) == (0, ["create"] * 5)
    assert await rig.there() == FIVE
    again = await rig.run("ensure")
    assert (again.code, actions(again)) == (0, ["keep"] * 5)
    assert (await rig.run("ensure", "--dry-run")).code == 0
    assert await rig.passwords() == [OLD] * 3


async def test_list_shows_ours_and_on_demand_all(rig: HooksRig) -> None:
    await rig.run("ensure")
    await rig.azure.person.hooks.create("workitem.created", "http://127.0.0.1:9/elsewhere")
    ours = await rig.run("list", "--json")
    rows = ours.document()["hooks"]
    assert isinstance(rows, list)
    assert [row["created_by"] for row in rows] == ["pointsman@fabrikam.example"] * 5
    assert len((await rig.run("list", "--all")).out.splitlines()) == 6
    assert (await rig.run("list", "--exit-status")).code == 0


async def test_one_that_policy_wants_and_nobody_has_is_listed_as_missing(rig: HooksRig) -> None:
    assert "5 that policy wants are not there" in (await rig.run("list")).err
    await rig.run("ensure")
    (gone,) = await rig.azure.service.hooks.list("workitem.deleted")
    await rig.azure.service.hooks.delete(gone.id)
    listed = await rig.run("list", "--exit-status", "--json")
    rows = listed.document()["hooks"]
    assert isinstance(rows, list)
    assert listed.code == 9
    assert [(row["event"], row["subscription"]) for row in rows if row["status"] == "missing"] == [
        ("workitem.deleted", "")
    ]


async def test_broken_ones_are_made_anew_and_no_event_is_missed(rig: HooksRig) -> None:
    await rig.run("ensure")
    broken = await rig.azure.service.hooks.list("workitem.created")
    dead = await rig.azure.service.hooks.list("workitem.deleted")
    await rig.azure.control("POST", f"subscriptions/{broken[0].id}", {"status": "disabledByInactiveIdentity"})
    await rig.azure.control("POST", f"subscriptions/{dead[0].id}", {"status": "disabledBySystem"})
    listed = await rig.run("list", "--exit-status")
    assert (listed.code, "2 of 5 lose events" in listed.err) == (9, True)
    mended = await rig.run("ensure")
    assert sorted(actions(mended)) == ["keep", "keep", "keep", "recreate", "recreate"]
    assert await rig.there() == FIVE


async def test_what_failed_is_brought_back_before_its_subscription_goes(rig: HooksRig) -> None:
    rig.policy("version: code\nhooks: {subscriptions: [{name: a, projects: [Fabrikam], events: [git.push]}]}\n")
    await rig.run("ensure")
    rig.gate.accepted.clear()
    await rig.azure.service.git.first_commit("Fabrikam", "Fabrikam", "main", "Begin", {"/README.md": "Baskets."})
    await rig.azure.control("POST", "clock", {"seconds": 0})
    (held,) = await rig.azure.service.hooks.list("git.push")
    await rig.azure.control("POST", f"subscriptions/{held.id}", {"status": "disabledBySystem"})
    rig.gate.accepted.add(OLD)
    told = "the subscriptions that are to be made anew: 1 delivery of git.push"
    tried, refused = await rig.run("ensure", "--dry-run"), await rig.run("ensure")
    assert (tried.code, told in tried.err) == (9, True)
    assert (refused.code, told in refused.err, "pointsman hooks recover" in refused.err) == (5, True, True)
    assert (await rig.run("ensure", "--discard")).code == 0
    assert await rig.there() == [("git.push", "enabled")]


async def test_what_a_person_disabled_is_left_and_told(rig: HooksRig) -> None:
    await rig.run("ensure")
    (held,) = await rig.azure.service.hooks.list("workitem.created")
    await rig.azure.control("POST", f"subscriptions/{held.id}", {"status": "disabledByUser"})
    answer = await rig.run("ensure")
    assert (answer.code, "leave" in actions(answer)) == (9, True)
    assert "somebody disabled it by hand" in answer.out
    assert ("enable or delete in Azure DevOps" in answer.err, "--prune" in answer.err) == (True, False)
    listed = await rig.run("list")
    assert ("1 of 5 lose events; enable or delete" in listed.err, "hooks ensure" in listed.err) == (True, False)


async def test_subscriptions_that_settings_give_no_effect_are_named(
    rig: HooksRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.run("ensure")
    held = [(await rig.azure.service.hooks.list(event))[0].id for event, _ in FIVE]
    monkeypatch.setenv("POINTSMAN_WEBHOOK_SUBSCRIPTIONS", ",".join(held))
    assert (await rig.run("list", "--exit-status")).code == 0
    await rig.azure.control("POST", f"subscriptions/{held[0]}", {"status": "disabledBySystem"})
    made = await rig.run("ensure")
    (fresh,) = await rig.azure.service.hooks.list(FIVE[0][0])
    assert (made.code, f"has no effect: {fresh.id}; add them" in made.err) == (9, True)
    assert (await rig.run("list", "--exit-status")).code == 9


@pytest.mark.parametrize("words", [("list",), ("ensure", "--dry-run"), ("test",), ("rotate",), ("recover",)])
async def test_without_an_organisation_nothing_looks_done(
    rig: HooksRig, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    rig.secrets(OLD, NEW)
    monkeypatch.delenv("POINTSMAN_AZURE_DEVOPS_URL")
    answer = await rig.run(*words)
    assert (answer.code, "POINTSMAN_AZURE_DEVOPS_URL is not set" in answer.err) == (2, True)


async def test_doubles_go_and_what_nobody_wants_goes_on_demand(rig: HooksRig) -> None:
    await rig.run("ensure")
    await rig.azure.person.hooks.create("workitem.created", "http://127.0.0.1:9/elsewhere")
    rig.policy(
        "version: narrow\nhooks: {subscriptions: [{name: a, projects: [Fabrikam], events: [workitem.created]}]}\n"
    )
    left = await rig.run("ensure")
    assert (left.code, sorted(actions(left))) == (9, ["create", *["leave"] * 5])
    pruned = await rig.run("ensure", "--prune")
    assert (pruned.code, sorted(actions(pruned))) == (0, ["keep", *["remove"] * 5])
    assert await rig.there() == [("workitem.created", "enabled")] * 2


async def test_list_that_fails_ends_it_before_anything_is_made(rig: HooksRig) -> None:
    await rig.azure.fail(method="GET", path="hooks/subscriptions", status=500)
    answer = await rig.run("ensure")
    assert (answer.code, await rig.there()) == (1, [])
    assert "nothing was changed" in answer.err


async def test_an_account_that_may_not_look_is_told_so_with_exit_4(rig: HooksRig) -> None:
    await rig.azure.fail(method="GET", path="hooks/subscriptions", status=403)
    answer = await rig.run("list", "--json")
    assert (answer.code, answer.error()["code"]) == (4, "not_permitted")


async def test_lost_answer_leads_to_no_double(rig: HooksRig) -> None:
    await rig.azure.fail(**LOST)
    broken = await rig.run("ensure")
    assert (broken.code, broken.err.startswith("error: 0 of 5 changes made, then one failed: create")) == (1, True)
    assert (await rig.run("ensure")).code == 0
    assert await rig.there() == FIVE


async def test_receiver_that_does_not_take_it_is_told_before_anything_is_made(rig: HooksRig) -> None:
    rig.secrets("a-secret-of-nobody")
    answer = await rig.run("ensure", "--json")
    assert (answer.code, await rig.there()) == (1, [])
    assert answer.error()["code"] == "not_taken"
    assert "The receiver answered 401" in str(answer.error()["message"])


async def test_test_says_of_each_event_whether_it_is_taken(rig: HooksRig) -> None:
    sound = await rig.run("test")
    assert (sound.code, {line.split("\t")[2] for line in sound.out.splitlines()}) == (0, {"succeeded"})
    assert (len(sound.out.splitlines()), await rig.there()) == (5, [])
    rig.gate.accepted.clear()
    refused = await rig.run("test", "--event", "workitem.updated")
    assert (refused.code, refused.out) == (
        9,
        "fabrikam\tworkitem.updated\tfailed\tThe receiver answered 401.\n",
    )
    assert (await rig.run("test", "--event", "git.push")).code == 3
    tried = await rig.run("test", "--event", "workitem.updated", "--dry-run")
    assert (tried.code, tried.out) == (0, "fabrikam\tworkitem.updated\twould be sent\t\n")


async def test_rotation_gives_each_the_new_secret(rig: HooksRig) -> None:
    await rig.run("ensure")
    rig.secrets(OLD, NEW)
    early = await rig.run("rotate")
    assert (early.code, "Nothing was changed" in early.err) == (1, True)
    assert await rig.passwords() == [OLD] * 3
    rig.gate.accepted.add(NEW)
    assert (await rig.run("rotate", "--dry-run")).code == 0
    assert await rig.passwords() == [OLD] * 3
    done = await rig.run("rotate")
    assert (done.code, actions(done)) == (0, ["replace"] * 5)
    assert "take the old one out of POINTSMAN_WEBHOOK_SECRETS" in done.err
    rig.gate.accepted.discard(OLD)
    assert await rig.passwords() == [NEW] * 3
    assert await rig.there() == FIVE


@pytest.mark.parametrize("calls", [0, 3, 4])
async def test_rotation_that_ends_anywhere_is_taken_up_again(rig: HooksRig, calls: int) -> None:
    await rig.run("ensure")
    rig.secrets(OLD, NEW)
    rig.gate.accepted.add(NEW)
    if calls:
        await rig.azure.fail(method="PUT", path="hooks/subscriptions", times=calls)
    await rig.azure.fail(method="PUT", path="hooks/subscriptions", after=bool(calls % 2), drop=True)
    broken = await rig.run("rotate")
    assert (broken.code, f"{calls} of 5 changes made" in broken.err) == (1, True)
    assert len(await rig.passwords()) == 3
    assert (await rig.run("rotate")).code == 0
    rig.gate.accepted.discard(OLD)
    assert await rig.passwords() == [NEW] * 3
    assert await rig.there() == FIVE


async def test_rotation_needs_two_secrets(rig: HooksRig) -> None:
    answer = await rig.run("rotate")
    assert (answer.code, "holds 1 secret" in answer.err) == (2, True)


async def test_rotation_tells_what_keeps_the_old_secret(rig: HooksRig) -> None:
    await rig.run("ensure")
    rig.policy("version: narrow\nhooks: {subscriptions: [{name: a, events: [workitem.created]}]}\n")
    rig.secrets(OLD, NEW)
    rig.gate.accepted.add(NEW)
    answer = await rig.run("rotate")
    assert (answer.code, sorted(actions(answer))) == (9, [*["leave"] * 4, "replace"])
    assert "these still have the old secret" in answer.err


async def test_public_address_is_needed(rig: HooksRig) -> None:
    rig.environment.setenv("POINTSMAN_PUBLIC_URL", "")
    answer = await rig.run("list")
    assert (answer.code, "POINTSMAN_PUBLIC_URL is not set" in answer.err) == (2, True)


async def test_project_that_there_is_not_ends_it(rig: HooksRig) -> None:
    rig.policy("version: x\nhooks: {subscriptions: [{name: a, projects: [Nowhere], events: [workitem.created]}]}\n")
    answer = await rig.run("ensure")
    assert (answer.code, await rig.there()) == (3, [])
