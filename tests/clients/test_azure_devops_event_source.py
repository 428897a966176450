"""What a service kept of deliveries is read to its end, however it tells it; what it does not tell is known."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.event_source import EventSource
from pointsman.contracts.base import Json
from pointsman.contracts.hooks import HookPolicy, HookRule
from pointsman.contracts.recovery import SubscriptionHistory

RECEIVER = "https://pointsman.example.com/webhooks/azure-devops"
BEGUN = datetime(2026, 11, 20, tzinfo=UTC)
RUN = "ms.vss-pipelines.run-state-changed-event"
PAGE = 3


class Service:
    """One subscription to an event. The switches are what nobody could confirm of the real one."""

    def __init__(
        self,
        minutes: Sequence[int],
        event: str = "git.push",
        *,
        oldest_first: bool = False,
        needs_details: bool = False,
        refused: bool = False,
        uncounted: bool = False,
        page: int = PAGE,
    ) -> None:
        moments = [(BEGUN + timedelta(minutes=minute)).isoformat() for minute in minutes]
        self.kept: list[dict[str, Json]] = [
            {"id": number, "result": "succeeded", "createdDate": at} for number, at in enumerate(moments, 1)
        ]
        self.event = event
        self._oldest_first, self._needs_details, self._refused = oldest_first, needs_details, refused
        self._uncounted, self._page = uncounted, page
        self.asked = 0

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            if self._refused:
                return httpx2.Response(403, json={"message": "ViewSubscriptions is needed"})
            hook: Json = {
                "id": "s",
                "publisherId": request.url.params["publisherId"],
                "eventType": self.event,
                "status": "enabled",
                "consumerInputs": {"url": RECEIVER},
            }
            return httpx2.Response(200, json={"value": [hook] if request.url.params["eventType"] == self.event else []})
        self.asked += 1
        return httpx2.Response(200, json=self._query(json.loads(request.content)))

    def _query(self, asked: dict[str, str]) -> Json:
        until = asked.get("maxCreatedDate", "9")
        found = [one for one in self.kept if str(one["createdDate"]) <= until]
        told = found[: self._page] if self._oldest_first else found[-self._page :]
        if self._needs_details and not asked["includeDetails"]:
            told = []
        counted: Json = [] if self._uncounted else [{"result": "succeeded", "notificationCount": len(found)}]
        results: Json = [*told]
        return {"results": results, "summary": [{"subscriptionId": "s", "results": counted}]}


async def read(service: Service, *events: str) -> Sequence[SubscriptionHistory]:
    policy = HookPolicy(subscriptions=(HookRule(name="ours", events=events),)) if events else None
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(service.answer)) as http:
        client = AzureDevOps("https://dev.azure.com/fabrikam", SecretStr("token"), http=http)
        return await EventSource({"fabrikam": client}, RECEIVER, policy, PAGE).notifications("fabrikam")


@pytest.mark.parametrize("minutes", [(), (1, 2), (1, 2, 3), (1, 2, 2, 3, 4, 5, 6)])
async def test_the_history_of_deliveries_is_read_to_its_end(minutes: tuple[int, ...]) -> None:
    (found,) = await read(Service(minutes))
    assert [one.id for one in found.notifications] == [*range(1, len(minutes) + 1)]
    assert not found.unseen


@pytest.mark.parametrize("uncounted", [False, True])
async def test_a_service_that_tells_fewer_than_it_is_asked_for_is_read_to_its_end(uncounted: bool) -> None:
    (found,) = await read(Service((1, 2, 3, 4, 5), uncounted=uncounted, page=PAGE - 1))
    assert ([one.id for one in found.notifications], found.unseen) == ([1, 2, 3, 4, 5], "")


async def test_a_service_that_counts_only_is_asked_for_details() -> None:
    (found,) = await read(Service((1, 2, 3, 4), needs_details=True))
    assert ([one.id for one in found.notifications], found.unseen) == ([1, 2, 3, 4], "")


@pytest.mark.parametrize("service", [Service((1, 2, 3, 4), oldest_first=True), Service((1, 1, 1, 1))])
async def test_what_there_is_no_way_to_is_told_as_unseen(service: Service) -> None:
    (found,) = await read(service)
    told = "the service told 3 deliveries of subscription s, and keeps more"
    assert (len(found.notifications), found.unseen, service.asked) == (PAGE, told, 2)


async def test_events_of_other_publishers_are_looked_at_where_policy_wants_some() -> None:
    service = Service((1,), RUN)
    assert await read(service, "git.push") == []
    (found,) = await read(service, RUN)
    assert (found.subscription.publisher, len(found.notifications)) == ("pipelines", 1)


async def test_where_subscriptions_may_not_be_read_what_policy_wants_is_named() -> None:
    refused = Service((1,), refused=True)
    assert await read(refused) == []
    (found,) = await read(refused, "git.push")
    assert (found.subscription.event_type, found.notifications) == ("git.push", ())
    assert "may not be looked through: GET https://dev.azure.com/fabrikam" in found.unseen
