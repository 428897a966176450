"""`pointsman.ports.HookService` over the clients of several organisations."""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from pointsman.clients.azure_devops.answers import Subscription
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.clients.azure_devops.service_hooks import Draft, Notification
from pointsman.contracts.hooks import FoundHook, HookNotification, WantedHook
from pointsman.domain.hook_events import KNOWN
from pointsman.domain.hooks import USERNAME
from pointsman.ports import Missing, Rejected


class HookService:
    """`password` is what new and replaced subscriptions send with each delivery."""

    def __init__(self, clients: Mapping[str, AzureDevOps], password: SecretStr) -> None:
        self._clients = clients
        self._password = password

    async def project_ids(self, organisation: str, names: Sequence[str]) -> Mapping[str, str]:
        client = self._client(organisation)
        distinct = sorted({name.lower() for name in names})
        projects = await asyncio.gather(*(client.project(name) for name in distinct))
        return {name: project.id for name, project in zip(distinct, projects, strict=True)}

    async def found(self, organisation: str, event_types: Sequence[str]) -> Sequence[FoundHook]:
        hooks = self._client(organisation).hooks
        lists = await asyncio.gather(*(hooks.list(event, KNOWN[event].publisher) for event in event_types))
        return [_found(organisation, held) for listed in lists for held in listed]

    async def create(self, wanted: WantedHook) -> FoundHook:
        made = await self._client(wanted.organisation).hooks.make(self._draft(wanted))
        return _found(wanted.organisation, made)

    async def replace(self, hook: FoundHook, wanted: WantedHook) -> FoundHook:
        made = await self._client(wanted.organisation).hooks.replace(hook.id, self._draft(wanted))
        return _found(wanted.organisation, made)

    async def remove(self, hook: FoundHook) -> None:
        try:
            await self._client(hook.organisation).hooks.delete(hook.id, hook.publisher)
        except Missing:
            return  # somebody was faster

    async def test(self, wanted: WantedHook) -> HookNotification:
        return _told(await self._client(wanted.organisation).hooks.test(self._draft(wanted)))

    async def notifications(self, hook: FoundHook, limit: int = 100) -> Sequence[HookNotification]:
        hooks = self._client(hook.organisation).hooks
        return [_told(one) for one in await hooks.notifications(hook.id, limit=limit, publisher=hook.publisher)]

    def _client(self, organisation: str) -> AzureDevOps:
        if organisation not in self._clients:
            known = ", ".join(self._clients) or "(none)"
            raise Rejected(f"no organisation {organisation!r} is configured; known: {known}; nothing was changed")
        return self._clients[organisation]

    def _draft(self, wanted: WantedHook) -> Draft:
        return Draft(
            event_type=wanted.event_type,
            url=wanted.url,
            filters=wanted.filters,
            username=wanted.inputs.get(USERNAME, ""),
            password=self._password,
            resource_version=wanted.resource_version,
            publisher=wanted.publisher,
            inputs={name: value for name, value in wanted.inputs.items() if name != USERNAME},
        )


def _found(organisation: str, held: Subscription) -> FoundHook:
    inputs = {name: value or "" for name, value in held.consumer_inputs.items()}
    return FoundHook(
        organisation=organisation,
        id=held.id,
        publisher=held.publisher_id,
        event_type=held.event_type,
        consumer=held.consumer_id,
        action=held.consumer_action_id,
        url=inputs.pop("url", ""),
        filters={name: value or "" for name, value in held.publisher_inputs.items()},
        # Headers of others may hold a secret, and nothing here compares them.
        inputs={name: value for name, value in inputs.items() if name != "httpHeaders"},
        resource_version=held.resource_version,
        status=held.status,
        probation_retries=held.probation_retries,
        created_by=unique_name(held.created_by),
        created_at=held.created_date,
    )


def _told(notification: Notification) -> HookNotification:
    return HookNotification(
        id=notification.id,
        subscription_id=notification.subscription_id,
        event_id=notification.event_id,
        status=notification.status,
        result=notification.result,
        created_at=notification.created_date,
        error=notification.details.error_message,
        response=notification.details.response,
    )
