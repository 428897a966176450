"""The stand-in's large past, in small: the same number makes the same, and what hangs together does."""

from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.patches import set_field
from pointsman.config import load
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops import large, large_config
from pointsman.sandbox.azure_devops.config import Organisation
from pointsman.sandbox.azure_devops.large import ABOVE, LINKED_SHARE, SHARES, seed_large
from pointsman.sandbox.azure_devops.learned import Learned
from pointsman.sandbox.azure_devops.state import Item, World
from starter.cli.sandbox import serve_azure_devops

ITEMS = 400
EVERY = 20_000


class Forgetful(dict[object, object]):
    def __setitem__(self, key: object, value: object) -> None:
        """Nothing is learned."""


class ByTheRules(Learned):
    def __init__(self, world: World, organisation: Organisation, project: str) -> None:
        super().__init__(world, organisation, project)
        vars(self)["_outcomes"] = Forgetful()


def made(number: int, count: int = ITEMS) -> World:
    config = large_config(SecretStr("a"), SecretStr("b"), count, number)
    world = World(config)
    seed_large(world, config.organisations[0], "Fabrikam", count, number)
    return world


@pytest.fixture(scope="module")
def world() -> World:
    return made(7)


@pytest.fixture(scope="module")
def items(world: World) -> list[Item]:
    return list(world.items["fabrikam"].values())


def told(world: World) -> list[object]:
    """All that can be read of a world, in a form that compares."""
    items = world.items["fabrikam"].values()
    requests = world.code.pull_requests["fabrikam"].values()
    return [
        [(list(item.revisions), item.relations, item.updates, item.comments) for item in items],
        [(one.id, one.status, one.uri, one.source_commit, one.closed_at) for one in requests],
    ]


def test_a_number_makes_the_same_past_each_time_and_another_number_another() -> None:
    assert told(made(3, 60)) == told(made(3, 60))
    assert told(made(3, 60)) != told(made(4, 60))


def test_what_is_done_like_the_first_of_its_kind_is_as_the_rules_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    quickly = told(made(5, ITEMS))
    monkeypatch.setattr(large, "Learned", ByTheRules)
    assert told(made(5, ITEMS)) == quickly


@pytest.mark.slow
async def test_the_large_stand_in_serves_twenty_thousand_items_with_histories(tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        known = await serve_azure_devops(running, load(data_dir=tmp_path), 0, "large")
        url, token = known["POINTSMAN_AZURE_DEVOPS_URL"], SecretStr(known["POINTSMAN_AZURE_DEVOPS_TOKEN"])
        client = await running.enter_async_context(AzureDevOps(url, token))
        every = await client.work_items.query("SELECT [System.Id] FROM WorkItems", "Fabrikam", top=EVERY)
        assert sorted(every) == list(range(1, EVERY + 1))
        some = every[:: EVERY // 200][:200]
        found = await client.work_items.batch(some)
        assert [item.id for item in found] == some
        busy = max(found, key=lambda item: item.rev)
        updates = await client.work_items.updates(busy.id)
        states = [one.fields["System.State"] for one in updates if "System.State" in one.fields]
        assert [one.rev for one in updates][-1] == busy.rev > 2
        assert states[-1].new_value == busy.fields["System.State"]
        assert all(before.new_value == after.old_value for before, after in pairwise(states))
        await client.work_items.create("Fabrikam", "Task", [set_field("System.Title", "One more")])
        with pytest.raises(Rejected, match="VS402337"):
            await client.work_items.query("SELECT [System.Id] FROM WorkItems", "Fabrikam", top=EVERY)
        assert len(await client.queries.ids("", "Fabrikam")) == EVERY + 1


def test_there_are_as_many_of_each_type_as_their_shares_say(items: list[Item]) -> None:
    counts = Counter(item.kind.name for item in items)
    assert counts == {name: round(ITEMS * share) for name, share in SHARES.items()}


def test_items_went_along_the_ways_of_their_process_only(items: list[Item]) -> None:
    steps = 0
    for item in items:
        states = [str(fields["System.State"]) for fields in item.revisions]
        assert states[0] == item.kind.initial
        for before, after in pairwise(states):
            assert before == after or item.kind.reasons(before, after)
            steps += before != after
    assert steps > ITEMS / 2


def test_most_hang_on_what_they_belong_to_and_some_hang_on_nothing(world: World, items: list[Item]) -> None:
    held = world.items["fabrikam"]
    parents = {item.id: held[item.parent].kind.name for item in items if item.parent}
    assert all(ABOVE[held[number].kind.name] == above for number, above in parents.items())
    hanging = [item for item in items if item.kind.name in ABOVE]
    assert 0.8 < len(parents) / len(hanging) < 1
    assert LINKED_SHARE < 1


def test_links_are_seen_at_both_ends(world: World, items: list[Item]) -> None:
    held = world.items["fabrikam"]
    for item in items:
        for link in item.relations:
            assert not link.target or any(back.target == item.id for back in held[link.target].relations)


def test_dates_of_revisions_go_on(items: list[Item]) -> None:
    for item in items:
        marks = [int(str(fields["System.Watermark"])) for fields in item.revisions]
        assert marks == sorted(marks)
        assert str(item.fields["System.ChangedDate"]).startswith("2024-")


def test_pull_requests_serve_items(world: World) -> None:
    requests = world.code.pull_requests["fabrikam"].values()
    linked = {link.url for item in world.items["fabrikam"].values() for link in item.relations if link.url}
    assert {one.uri for one in requests} <= linked
    assert {one.status for one in requests} == {"active", "completed"}


def test_large_world_has_a_project_of_each_process() -> None:
    (organisation,) = large_config(SecretStr("a"), SecretStr("b")).organisations
    assert isinstance(organisation, Organisation)
    assert [project.process for project in organisation.projects] == ["CMMI", "Agile", "Scrum", "Basic"]
