"""The world around Pointsman, as the demo acts in it: a person with a token, the stand-ins' switches and counters."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx2
from pydantic import SecretStr

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.patches import add_tags, set_field
from pointsman.contracts.base import Json
from starter.demo.processes import DemoFailed, Stage

EVENTS = ("workitem.created", "workitem.updated", "workitem.commented", "workitem.deleted", "workitem.restored")
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.1
T = TypeVar("T")


async def until(what: str, look: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE_SECONDS) -> T:
    """Look until there is something to see.

    Raises:
        DemoFailed: it does not come; the text names what was waited for.
    """
    try:
        async with asyncio.timeout(seconds):
            while (seen := await look()) is None:  # noqa: ASYNC110 - other processes, so nothing announces it
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise DemoFailed(f"waited {seconds:.0f} s for {what}, in vain") from None
    return seen


class Outside:
    """Azure DevOps as a person sees it, and the control API of both stand-ins."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._http = httpx2.AsyncClient(timeout=30, trust_env=False)
        url = f"{stage.azure_url}/{stage.organisation}"
        self.person = AzureDevOps(url, SecretStr(stage.person_token))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.person.close()
        await self._http.aclose()

    async def subscribe(self) -> list[str]:
        """One service hook for each event of work items, to our receiver. Returns their ids."""
        stage = self._stage
        project = await self.person.project(stage.project)
        return [
            (
                await self.person.hooks.create(
                    event,
                    f"{stage.web_url}/webhooks/azure-devops",
                    filters={"projectId": project.id},
                    username="pointsman",
                    password=SecretStr(stage.hook_secret),
                )
            ).id
            for event in EVENTS
        ]

    async def file(self, type_name: str, title: str, description: str, tags: tuple[str, ...] = ()) -> int:
        """Create a work item, as a person does. Returns its id."""
        text = "Microsoft.VSTS.TCM.ReproSteps" if type_name == "Bug" else "System.Description"
        operations = [set_field("System.Title", title), set_field(text, f"<p>{description}</p>")]
        operations += [add_tags(tags)] if tags else []
        return (await self.person.work_items.create(self._stage.project, type_name, operations)).id

    async def edit(self, item_id: int, field: str, value: Json) -> None:
        await self.person.work_items.patch(item_id, [set_field(field, value)])

    async def deliveries(self, **change: Json) -> Mapping[str, Json]:
        """What the service delivered so far; keywords change how it delivers."""
        url = f"{self._stage.azure_url}/_sandbox/deliveries"
        answer = await (self._http.post(url, json=change) if change else self._http.get(url))
        return _document(answer)

    async def counters(self) -> Mapping[str, Json]:
        return _document(await self._http.get(f"{self._stage.azure_url}/_sandbox/counters"))

    async def hold_request(self, match: str, skip: int) -> str:
        """Let the model provider hold one request, after `skip` that match. Returns the hold's id."""
        rule = {"match": match, "skip": skip, "count": 1}
        answer = _document(await self._http.post(f"{self._stage.models_url}/_sandbox/holds", json=rule))
        return str(answer["id"])

    async def held(self, hold_id: str) -> bool | None:
        """True once a request is held."""
        answer = await self._http.get(f"{self._stage.models_url}/_sandbox/holds")
        return True if any(hold["id"] == hold_id and hold["held"] for hold in answer.json()) else None

    async def release(self, hold_id: str) -> None:
        await self._http.post(f"{self._stage.models_url}/_sandbox/holds/{hold_id}/release")

    async def model_requests(self) -> list[dict[str, Json]]:
        """Every request that the provider saw, with the hash of its body."""
        answer = await self._http.get(f"{self._stage.models_url}/_sandbox/requests")
        return list(answer.json())


def _document(answer: httpx2.Response) -> Mapping[str, Json]:
    answer.raise_for_status()
    content: Mapping[str, Json] = answer.json()
    return content
