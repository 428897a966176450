"""Events on the command line, on a real store: shown, found, watched, drawn, replayed; and an item's history."""

import asyncio
import io
import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from pointsman import config
from pointsman.contracts.base import Json
from pointsman.contracts.chains import Edge, EdgeKind
from pointsman.contracts.records import DeliveryState, NewDelivery
from pointsman.domain.echoes import told
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from starter.cli import events
from starter.cli.app import run
from starter.cli.errors import ExitCode
from starter.cli.output import Output
from tests.starter import cli_rig
from tests.starter.cli_rig import START, Rig
from tests.starter.web_rig import created

ECHO: Json = {
    "id": 4,
    "workItemId": 42,
    "rev": 4,
    "revisedBy": {"displayName": "Pointsman", "uniqueName": "pointsman@fabrikam.example"},
    "fields": {"Microsoft.VSTS.Common.Priority": {"oldValue": 3, "newValue": 2}},
    "revision": {"id": 42, "rev": 4, "fields": {"System.Title": "Login fails"}},
}


@pytest.fixture
def rig(
    tmp_path: Path,
    migrated_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    free_port: int,
) -> Rig:
    monkeypatch.setenv("POINTSMAN_WEB_PORT", str(free_port))
    monkeypatch.setenv("USER", "ada")
    return cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)


def fabrikam(item_id: int = 42, **more: Json) -> bytes:
    containers: Json = {"collection": {"baseUrl": "https://dev.azure.com/fabrikam/"}}
    return created(item_id, resourceContainers=containers, message={"text": "Bug created"}, **more)


def push(name: str, minutes: int) -> NewDelivery:
    """A push with a commit that mentions item 42."""
    plain = cli_rig.delivery(name, body=b'{"eventType": "git.push", "resource": {"pushedBy": "Bob"}}', minutes=minutes)
    commit = "commit:fabrikam/" + "a" * 40
    edges = (
        Edge(cause=f"event:{name}", effect=commit, kind=EdgeKind.ABOUT),
        Edge(cause="item:fabrikam/42", effect=commit, kind=EdgeKind.MENTIONED, evidence=name),
    )
    return plain.model_copy(update={"event_type": "git.push", "item_id": 0, "edges": edges})


async def told_story(store: Store) -> None:
    """Item 42 from its first event to the echo of our write, and a push that mentions it."""
    await cli_rig.story(store)
    inbox = Inbox(store)
    body = fabrikam(eventType="workitem.updated", resource=ECHO, createdDate="2026-01-05T09:30:00Z")
    echo = cli_rig.delivery("e-1", body=body, minutes=30)
    await inbox.accept(echo.model_copy(update={"event_type": "workitem.updated"}))
    await inbox.settle("e-1", DeliveryState.ECHO, told("op-1"), cli_rig.WORKFLOW)
    await inbox.accept(push("p-1", 40))


async def three_dead(store: Store) -> None:
    inbox = Inbox(store)
    for number in (1, 2, 3):
        await inbox.accept(cli_rig.delivery(f"d-{number}", body=fabrikam(40 + number), minutes=number))
        await inbox.settle(f"d-{number}", DeliveryState.DEAD, "gave up")


def test_an_event_is_shown_with_what_led_to_it_and_what_it_led_to(rig: Rig) -> None:
    rig.fill(told_story)
    shown = rig.run("events", "show", "e-1", "--json").document()["event"]
    assert isinstance(shown, dict)
    assert (shown["event"], shown["read_as"]) == ("e-1", "WorkItemUpdated")
    assert (shown["who"], shown["state"]) == ("pointsman@fabrikam.example", "echo")
    assert shown["causes"] == ["write:op-1 echoed"]
    assert shown["effects"] == ["about item:fabrikam/42"]
    first = rig.run("events", "show", "d-1", "--json").document()["event"]
    assert isinstance(first, dict)
    assert first["effects"] == ["about item:fabrikam/42", f"handed_over run:{cli_rig.WORKFLOW}"]
    assert rig.run("events", "show", "none").code == ExitCode.NOT_FOUND


def test_the_whole_chain_is_told_from_wherever_one_starts(rig: Rig) -> None:
    rig.fill(told_story)
    commit = f"commit:fabrikam/{'a' * 40}"
    run = f"run:{cli_rig.WORKFLOW}"
    whole = {"event:d-1", "event:e-1", "event:p-1", "item:fabrikam/42", "write:op-1", run, commit}
    for start in ("e-1", "42", "fabrikam/42", "write:op-1", commit):
        chain = rig.run("events", "chain", start, "--json").document()["chain"]
        assert isinstance(chain, dict)
        assert {one["name"] for one in chain["things"]} == whole, start
        assert chain["complete"] is True
        assert all(set(edge) == {"cause", "effect", "kind", "removed", "evidence", "at"} for edge in chain["edges"])


def test_a_chain_is_a_table_in_order_of_time_and_can_be_cut(rig: Rig) -> None:
    rig.fill(told_story)
    rows = [line.split("\t") for line in rig.run("events", "chain", "e-1").out.splitlines()]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    (write,) = [row for row in rows if row[1] == "write"]
    assert write[3] == "Microsoft.VSTS.Common.Priority (written, revision 4)"
    cut = rig.run("events", "chain", "e-1", "--limit", "3")
    assert len(cut.out.splitlines()) == 3
    assert cut.err == "there is more than 3: raise --limit\n"
    effects = rig.run("events", "chain", "write:op-1", "--direction", "effects", "--json").document()["chain"]
    assert isinstance(effects, dict)
    assert "event:d-1" not in {one["name"] for one in effects["things"]}


def test_a_chain_is_drawn_into_a_file(rig: Rig) -> None:
    rig.fill(told_story)
    target = rig.folder / "chain.svg"
    assert rig.run("events", "chain", "e-1", "--svg", str(target)).err == f"wrote {target}\n"
    drawn = Xml.fromstring(target.read_text(encoding="utf-8"))  # noqa: S314 - of our own making
    assert drawn.findtext("{http://www.w3.org/2000/svg}title") == "Chain of event:e-1"


REFUSED = (
    (["chain", "item:fabrikam/99"], ExitCode.NOT_FOUND),
    (["chain", "write:op-1", "--tenant", "nobody"], ExitCode.NOT_FOUND),
    (["chain", "42", "--direction", "sideways"], ExitCode.USAGE),
    (["search", "--since", "yesterday"], ExitCode.USAGE),
    (["search", "--state", "lost"], ExitCode.USAGE),
    (["search", "--item", "x"], ExitCode.USAGE),
    (["replay"], ExitCode.USAGE),
    (["replay", "d-1", "--state", "dead"], ExitCode.USAGE),
)


def test_what_cannot_be_meant_is_refused_with_a_code(rig: Rig) -> None:
    rig.fill(told_story)
    for words, code in REFUSED:
        answer = rig.run("events", *words)
        assert (answer.code, answer.out) == (code, ""), words


FOUND: tuple[tuple[list[str], list[str]], ...] = (
    ([], ["p-1", "e-1", "d-1"]),
    (["--limit", "1"], ["p-1"]),
    (["--item", "42"], ["e-1", "d-1"]),
    (["--item", "other/42"], []),
    (["--kind", "git."], ["p-1"]),
    (["--kind", "workitem.updated"], ["e-1"]),
    (["--since", "2026-01-05T09:30:00Z", "--until", "2026-01-05T11:40:00+02:00"], ["e-1"]),
    (["--actor", "POINTSMAN@"], ["e-1"]),
    (["--text", "login FAILS"], ["e-1"]),
    (["--correlation", "d-1"], ["e-1", "d-1"]),
    (["--state", "echo"], ["e-1"]),
)


def test_events_are_found_by_what_they_tell(rig: Rig) -> None:
    rig.fill(told_story)
    for words, found in FOUND:
        lines = rig.run("events", "search", *words).out.splitlines()
        assert [line.split("\t")[0] for line in lines] == found, words


async def test_events_are_watched_live_and_from_an_offset_on(rig: Rig) -> None:
    settings, out = config.load(), io.StringIO()
    async with Store.open(rig.url) as store:
        inbox = Inbox(store)
        await inbox.accept(cli_rig.delivery("d-1"))
        told_to = Output(as_json=True, stdout=out)
        watching = asyncio.create_task(events.watch(settings, events.wanted(kind="git."), 0, 2, told_to))
        for name in ("p-1", "d-2", "p-2"):
            item = cli_rig.delivery(name)
            await inbox.accept(push(name, 1) if name.startswith("p") else item)
        async with asyncio.timeout(60):
            await watching
        seen = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [(one["schema_version"], one["event"]["event"]) for one in seen] == [(1, "p-1"), (1, "p-2")]
        again = io.StringIO()
        resumed = replace(told_to, as_json=False, stdout=again)
        await events.watch(settings, events.wanted(), int(seen[0]["event"]["offset"]), 2, resumed)
    assert [line.split("\t")[2] for line in again.getvalue().splitlines()] == ["d-2", "p-2"]


def test_watching_ends_when_nobody_reads_any_more_though_nothing_comes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert run(["events", "watch"]) == ExitCode.OK
        monkeypatch.undo()


def test_a_dry_run_tells_what_would_happen_and_does_nothing(rig: Rig) -> None:
    rig.fill(three_dead)
    answer = rig.run("events", "replay", "--state", "dead", "--until", "2026-01-05T09:03:00Z", "--dry-run")
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("d-1", "dispatched", "to ado/fabrikam/Quay/41"),
        ("d-2", "dispatched", "to ado/fabrikam/Quay/42"),
    ]
    assert answer.err == "nothing was done\n"
    assert rig.run("inbox", "list", "--state", "pending").out == ""
    assert rig.run("events", "replay", "--since", "2030-01-01", "--dry-run").err == "no event fits; nothing was done\n"


def test_a_replay_of_the_oldest_says_that_there_are_more(rig: Rig) -> None:
    rig.fill(three_dead)
    cut = rig.run("events", "replay", "--state", "dead", "--limit", "2", "--dry-run")
    assert [line.split("\t")[0] for line in cut.out.splitlines()] == ["d-1", "d-2"]
    assert cut.err == "more than 2 fit, and these are the oldest: raise --limit\nnothing was done\n"
    assert rig.run("events", "replay", "--state", "dead", "--limit", "3", "--dry-run").err == "nothing was done\n"


def test_many_are_replayed_once_somebody_agreed_and_in_order(rig: Rig) -> None:
    rig.fill(three_dead)
    refused = rig.run("events", "replay", "--state", "dead")
    assert refused.code == ExitCode.USAGE
    assert "Replay 3 events (3 dispatched)?" in refused.err
    done = rig.run("events", "replay", "--state", "dead", "--yes", "--json").document()["replayed"]
    assert isinstance(done, list)
    assert [(one["of"], one["by"], one["outcome"]) for one in done] == [
        ("d-1", "ada", "dispatched"),
        ("d-2", "ada", "dispatched"),
        ("d-3", "ada", "dispatched"),
    ]
    pending = rig.run("inbox", "list", "--state", "pending").out.splitlines()
    assert [line.split("\t")[0] for line in pending] == [one["event"] for one in reversed(done)]
    waiting = rig.run("events", "replay", str(done[0]["event"]))
    assert waiting.code == ExitCode.CONFLICT


def test_one_is_replayed_without_a_question(rig: Rig) -> None:
    rig.fill(three_dead)
    assert rig.run("events", "replay", "d-2", "--by", "grace").out.split("\t")[1] == "d-2"


def test_an_items_history_tells_both_sides_with_their_causes(rig: Rig) -> None:
    rig.fill(told_story)
    rows = rig.run("items", "history", "42", "--json").document()["history"]
    assert isinstance(rows, list)
    echo = next(one for one in rows if one["ref"] == "e-1")
    assert (echo["side"], echo["cause"], echo["marks"]) == ("theirs", "write:op-1", ["our write"])
    assert echo["changes"] == {"Microsoft.VSTS.Common.Priority": [3, 2]}
    steps = [one for one in rows if one["cause"] == f"run:{cli_rig.WORKFLOW}"]
    assert [one["what"].partition(":")[0] for one in steps] == [
        "received",
        "received -> routed",
        "routed -> working",
    ]


def test_an_item_is_shown_as_it_stood_at_a_moment(rig: Rig) -> None:
    rig.fill(told_story)
    before = rig.run("items", "history", "42", "--at", "2026-01-05T08:00:00Z")
    assert before.code == ExitCode.NOT_FOUND
    assert "Nothing is known of 42 at 2026-01-05T08:00:00.000Z; its history begins at" in before.err
    middle = rig.run("items", "history", "42", "--at", (START + timedelta(minutes=2)).isoformat(), "--json")
    late = rig.run("items", "history", "42", "--at", "2026-01-05T09:31:00Z", "--json")
    stood, stands = middle.document()["standing"], late.document()["standing"]
    assert isinstance(stood, dict)
    assert isinstance(stands, dict)
    assert (stood["pointsman_state"], stood["fields"]) == ("routed", {})
    assert (stands["pointsman_state"], stands["revision"]) == ("working", 4)
    assert stands["fields"]["Microsoft.VSTS.Common.Priority"] == 2


async def only_told(store: Store) -> None:
    for delivery in ("d-1", "d-2"):
        new = cli_rig.delivery(delivery, body=fabrikam())
        await Inbox(store).accept(new.model_copy(update={"idempotency_key": "one event"}))


def test_an_item_that_nobody_works_on_has_a_history_too(rig: Rig) -> None:
    rig.fill(only_told)
    rows = rig.run("items", "history", "fabrikam/42", "--json").document()["history"]
    assert isinstance(rows, list)
    assert [(one["side"], one["ref"], one["repeats"]) for one in rows] == [
        ("theirs", "d-1", False),
        ("theirs", "d-2", True),
    ]
    assert rows[1]["what"] == f"{rows[0]['what']} (told again)"
    stood = rig.run("items", "history", "42", "--at", "2027-01-01T00:00:00Z", "--json").document()["standing"]
    assert isinstance(stood, dict)
    assert (stood["revision"], stood["pointsman_state"]) == (1, "")
    assert rig.run("items", "history", "other/42").code == ExitCode.NOT_FOUND
    assert rig.run("items", "history", "77").code == ExitCode.NOT_FOUND
