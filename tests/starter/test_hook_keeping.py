"""Whoever watches subscriptions sees each that loses events, and puts a new one where policy wants it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops.hook_service import HookService
from pointsman.config import Settings, load
from pointsman.contracts.hooks import HookPolicy, HookRule
from pointsman.contracts.recovery import HookProblem, HookState
from pointsman.ports import Rejected
from starter.hook_keeping import HookKeeper
from tests.sandbox.azure import SERVICE_TOKEN, Azure, Receiver, azure_devops, eventually, receiver

SECRET = "the-newest-secret-of-all"
PATH = "/webhooks/azure-devops"
EVENTS = ("workitem.created", "workitem.updated", "workitem.deleted")
LAST = EVENTS[-1]


@dataclass
class Kept:
    azure: Azure
    receiver: Receiver
    service: HookService
    settings: Settings
    policy: HookPolicy

    @property
    def keeper(self) -> HookKeeper:
        return HookKeeper(self.service, self.settings, self.policy)

    async def found(self) -> dict[str, HookState]:
        """Troubles by type of event."""
        return {one.event_type: one for one in (await self.keeper.look("fabrikam"))[0]}

    async def probation(self) -> None:
        """A delivery is refused, and will not be tried again for twenty minutes."""
        made = await self.azure.make()
        await self.receiver.wait(1)
        self.receiver.answers.append(401)
        await self.azure.person.work_items.delete(made.id)

        async def is_so() -> bool:
            return (await self.azure.service.hooks.list(LAST))[0].status == "onProbation"

        await eventually(is_so)

    async def status(self, event: str, status: str) -> str:
        """Put the subscription of an event into a state, as the service does; returns its id."""
        (held,) = await self.azure.service.hooks.list(event)
        await self.azure.control("POST", f"subscriptions/{held.id}", {"status": status})
        return held.id


def settings(azure: Azure, **more: object) -> Settings:
    given: dict[str, object] = {
        "azure_devops_url": azure.base_url,
        "azure_devops_token": SERVICE_TOKEN,
        "webhook_secrets": SECRET,
    }
    return load(**(given | more))


@pytest.fixture
async def kept(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Kept]:
    monkeypatch.setenv("POINTSMAN_CONFIG_FILE", "")
    async with receiver() as ours, azure_devops(time_scale=1.0) as azure:
        service = HookService({"fabrikam": azure.service}, SecretStr(SECRET))
        policy = HookPolicy(subscriptions=(HookRule(name="items", events=EVENTS),))
        made = Kept(azure, ours, service, settings(azure, public_url=ours.url.removesuffix(PATH)), policy)
        for missing in (await made.found()).values():
            await made.keeper.replace(missing)
        yield made


async def test_what_policy_wants_is_missing_until_it_is_made_and_made_once(kept: Kept) -> None:
    assert await kept.found() == {}
    assert (await kept.keeper.look("fabrikam"))[1] == len(EVENTS)
    (held,) = await kept.azure.service.hooks.list(EVENTS[0])
    gone = HookState(organisation="fabrikam", event_type=EVENTS[0], problem=HookProblem.MISSING)
    assert await kept.keeper.replace(gone) == held.id
    assert len(await kept.azure.service.hooks.list(EVENTS[0])) == 1


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("disabledBySystem", HookProblem.DISABLED),
        ("disabledByInactiveIdentity", HookProblem.INACTIVE_OWNER),
    ],
)
async def test_subscription_that_loses_events_is_found_and_a_new_one_takes_its_place(
    kept: Kept, status: str, problem: HookProblem
) -> None:
    old = await kept.status(EVENTS[1], status)
    (found,) = (await kept.found()).values()
    assert (found.subscription_id, found.problem, found.is_wanted) == (old, problem, True)
    fresh = await kept.keeper.replace(found)
    (held,) = await kept.azure.service.hooks.list(EVENTS[1])
    assert (held.id, held.status, fresh != old) == (fresh, "enabled", True)
    assert await kept.found() == {}


async def test_probation_is_found_and_ended_by_a_new_one(kept: Kept) -> None:
    await kept.probation()
    (found,) = (await kept.found()).values()
    assert (found.event_type, found.problem) == (LAST, HookProblem.PROBATION)
    await kept.keeper.replace(found)
    assert await kept.found() == {}


async def test_what_somebody_mended_meanwhile_stays(kept: Kept) -> None:
    old = await kept.status(EVENTS[1], "disabledBySystem")
    (found,) = (await kept.found()).values()
    await kept.status(EVENTS[1], "enabled")
    assert await kept.keeper.replace(found) == old


async def test_what_a_person_switched_off_is_found_and_stays_off(kept: Kept) -> None:
    old = await kept.status(EVENTS[2], "disabledByUser")
    (found,) = (await kept.found()).values()
    assert found.problem is HookProblem.SWITCHED_OFF
    assert await kept.keeper.replace(found) == old
    assert await kept.found() == {EVENTS[2]: found}


async def test_what_policy_does_not_want_is_told_and_not_replaced(kept: Kept) -> None:
    await kept.status(EVENTS[2], "disabledBySystem")
    kept.policy = HookPolicy(subscriptions=(HookRule(name="fewer", events=EVENTS[:2]),))
    (found,) = (await kept.found()).values()
    assert not found.is_wanted
    with pytest.raises(Rejected, match="policy does not want it; nothing was changed"):
        await kept.keeper.replace(found)


async def test_what_has_no_effect_because_its_id_is_new_is_told(kept: Kept) -> None:
    listed = ",".join([(await kept.azure.service.hooks.list(event))[0].id.upper() for event in EVENTS])
    kept.settings = settings(kept.azure, public_url=kept.settings.public_url, webhook_subscriptions=listed)
    assert await kept.found() == {}
    await kept.status(EVENTS[1], "disabledBySystem")
    fresh = await kept.keeper.replace((await kept.found())[EVENTS[1]])
    (found,) = (await kept.found()).values()
    assert (found.subscription_id, found.problem, found.status) == (fresh, HookProblem.UNLISTED, "enabled")


async def test_nobody_looks_without_an_address_and_nothing_is_replaced_without_a_secret(kept: Kept) -> None:
    await kept.status(EVENTS[1], "disabledBySystem")
    (found,) = (await kept.found()).values()
    kept.settings = settings(kept.azure)
    assert await kept.keeper.look("fabrikam") == ([], 0)
    kept.settings = settings(kept.azure, public_url=kept.settings.public_url, webhook_secrets="")
    with pytest.raises(Rejected, match="POINTSMAN_WEBHOOK_SECRETS is not set"):
        await kept.keeper.replace(found)
