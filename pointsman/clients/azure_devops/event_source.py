"""`ports.EventSource` over Azure DevOps: what the service remembers of what happened, said in our contracts.

All calls are in bulk: nobody waits for a recovery, so whoever does something at once goes first.
"""

import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import TypeVar

from pydantic import TypeAdapter

from pointsman.clients.azure_devops.answers import Comment, FieldChange, Relation, Subscription, Update
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.errors import NotSignedIn
from pointsman.clients.azure_devops.history import LinkBatch, Revision, RevisionBatch
from pointsman.clients.azure_devops.service_hooks import Notification, NotificationResults, ServiceHooksApi
from pointsman.contracts.base import Json
from pointsman.contracts.hooks import HookPolicy
from pointsman.contracts.recovery import (
    CommentVersionTold,
    Containers,
    NotificationTold,
    Snapshot,
    StreamBatch,
    SubscriptionHistory,
    SubscriptionTold,
    TouchedItem,
    UpdateTold,
)
from pointsman.domain.hook_events import PROJECT, beside, publisher_of
from pointsman.domain.hooks import events_wanted, same_place
from pointsman.domain.loose import moment
from pointsman.domain.outages import ENABLED
from pointsman.ports import Missing, Rejected

BATCH_MAX, NOTIFICATIONS_MAX = 200, 1_000
SUCCEEDED = "succeeded"
NEVER_YEAR = 9999
CHANGED = "System.ChangedDate"
BatchT = TypeVar("BatchT", RevisionBatch, LinkBatch)
_OBJECT: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])


class EventSource:
    """Finds the client of an organisation by its lower-case slug. `receiver` is the URL that our subscriptions post
    to; without it none is ours, and nothing is known of deliveries. `policy` says which events there are to be."""

    def __init__(
        self,
        organisations: Mapping[str, AzureDevOps],
        receiver: str = "",
        policy: HookPolicy | None = None,
        page_max: int = NOTIFICATIONS_MAX,
    ) -> None:
        self._clients = {slug.lower(): client.in_bulk() for slug, client in organisations.items()}
        self._receiver = receiver
        self._policy = policy or HookPolicy()
        self._page_max = page_max

    async def revisions(self, organisation: str, project: str, token: str, since: datetime | None) -> StreamBatch:
        history = self._client(organisation).history
        batch = await _first(history.revision_stream(token, project=project, since=since, batch_max=BATCH_MAX))
        return _touched(batch, batch.values)

    async def links(self, organisation: str, project: str, token: str, since: datetime | None) -> StreamBatch:
        batch = await _first(self._client(organisation).history.link_stream(token, project=project, since=since))
        ends = {item_id: None for change in batch.values for item_id in (change.source_id, change.target_id)}
        return StreamBatch(
            items=tuple(TouchedItem(id=item_id) for item_id in ends),
            token=batch.continuation_token,
            is_last=batch.is_last_batch,
            newest=max((one.changed_date for one in batch.values if one.changed_date), default=None),
        )

    async def discussions(self, organisation: str, project: str, token: str, since: datetime | None) -> StreamBatch:
        """Of a project only: the service has no such stream of an organisation. It takes no moment to begin at, so
        what was said before is passed over here."""
        if not project:
            return StreamBatch(token=token)
        stream = self._client(organisation).discussions.stream(project, token, batch_max=BATCH_MAX)
        try:
            batch = await _first(stream)
        except Missing:  # a server that is too old for it: revisions tell of comments, too
            return StreamBatch(token=token)
        told = [one for one in batch.values if since is None or (_changed(one) or since) >= since]
        return _touched(batch, [Revision(id=one.id) for one in told]).model_copy(
            update={"newest": _newest(batch.values)}
        )

    async def updates(self, organisation: str, item_id: int, skip: int = 0) -> Sequence[UpdateTold]:
        found = await self._client(organisation).work_items.updates(item_id, skip=skip)
        return [_update(one) for one in found]

    async def snapshots(self, organisation: str, item_id: int, from_rev: int = 1) -> Sequence[Snapshot]:
        found = await self._client(organisation).history.revisions(item_id, skip=max(from_rev - 1, 0))
        return [_snapshot(one) for one in found]

    async def comment_versions(self, organisation: str, project: str, item_id: int) -> Sequence[CommentVersionTold]:
        """A request for each comment that was edited or deleted; one for all others."""
        api = self._client(organisation).discussions
        found: list[CommentVersionTold] = []
        for comment in await api.comments(project, item_id):
            if comment.version == 1 and not comment.is_deleted:
                found.append(_only_version(comment))
                continue
            for one in await api.versions(project, item_id, comment.id):
                found.append(
                    CommentVersionTold(
                        comment_id=comment.id,
                        version=one.version,
                        text=one.text,
                        at=one.modified_date or one.created_date,
                        is_deleted=one.is_deleted,
                        url=one.url,
                    )
                )
        return found

    async def containers(self, organisation: str, project: str) -> Containers:
        client = self._client(organisation)
        found = await client.project(project) if project else None
        return Containers(base_url=client.base_url, project_id=found.id if found else "")

    async def notifications(self, organisation: str) -> Sequence[SubscriptionHistory]:
        """All that is kept of each subscription, without their events; a request for each page. Of events that policy
        wants and that may not be read it is said that they were not."""
        if not self._receiver:
            return []
        hooks, events = self._client(organisation).hooks, events_wanted(self._policy, organisation.lower())
        found: list[SubscriptionHistory] = []
        for event_type in beside(events):
            try:
                found += [await _history(hooks, one, self._page_max) for one in await self._ours(hooks, event_type)]
            except NotSignedIn:
                raise
            except Rejected as error:  # a permission of its own: items come back without it
                if event_type in events:
                    found.append(_unread(event_type, error))
        return found

    async def _ours(self, hooks: ServiceHooksApi, event_type: str) -> list[Subscription]:
        there = await hooks.list(event_type, publisher_of(event_type))
        return [one for one in there if same_place(one.consumer_inputs.get("url") or "", self._receiver)]

    async def event(self, organisation: str, subscription: SubscriptionTold, number: int) -> bytes:
        hooks = self._client(organisation).hooks
        try:
            kept = await hooks.notification(subscription.id, number, subscription.publisher)
        except Missing:  # it has just become too old
            return b""
        event = kept.details.event
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() if event else b""

    def _client(self, organisation: str) -> AzureDevOps:
        client = self._clients.get(organisation.lower())
        if client is None:
            configured = ", ".join(sorted(self._clients)) or "none"
            raise Rejected(
                f"no access to organisation {organisation!r}; configured: {configured}. Nothing was read or changed",
                code="UnknownOrganisation",
            )
        return client


async def _history(hooks: ServiceHooksApi, one: Subscription, page_max: int) -> SubscriptionHistory:
    """Page by page, each behind the oldest of the one before: the service has no token for it."""
    kept, total, unseen = dict[int, Notification](), 0, ""
    until: datetime | None = None
    while True:
        page = await _page(hooks, one, until, page_max)
        total = total or _count(page)
        fresh = {told.id: told for told in page.results if told.id not in kept}
        kept |= fresh
        # Where it does not count them, only a page without any is known to be the last.
        if len(page.results) < page_max and len(kept) >= total and (total or not page.results):
            break
        until = min((told.created_date for told in page.results if told.created_date), default=None)
        if not fresh or until is None:  # more of one moment than it tells at once, or it tells the oldest first
            if len(kept) < total or len(page.results) >= page_max:
                unseen = f"the service told {len(kept)} deliveries of subscription {one.id}, and keeps more"
            break
    return _subscription_history(one, kept.values(), unseen)


async def _page(
    hooks: ServiceHooksApi, one: Subscription, until: datetime | None, page_max: int
) -> NotificationResults:
    """Without details the specification promises no more than how many there are."""
    asked = partial(hooks.query, [one.id], until=until, limit=page_max, publisher=one.publisher_id)
    page = await asked()
    return page if page.results or not _count(page) else await asked(details=True)


def _count(page: NotificationResults) -> int:
    return sum(result.notification_count for of in page.summary for result in of.results)


def _unread(event_type: str, error: Rejected) -> SubscriptionHistory:
    hook = SubscriptionTold(id="", event_type=event_type, publisher=publisher_of(event_type), status=ENABLED)
    return SubscriptionHistory(subscription=hook, unseen=f"its deliveries may not be looked through: {error}")


def _subscription_history(one: Subscription, kept: Iterable[Notification], unseen: str) -> SubscriptionHistory:
    told = SubscriptionTold(
        id=one.id,
        event_type=one.event_type,
        publisher=one.publisher_id or "tfs",
        status=one.status,
        project_id=one.publisher_inputs.get(PROJECT) or "",
        probation_retries=one.probation_retries,
    )
    notifications = [
        NotificationTold(id=n.id, at=n.created_date, succeeded=n.result == SUCCEEDED, pending=not n.over)
        for n in sorted(kept, key=lambda n: n.id)
    ]
    return SubscriptionHistory(subscription=told, notifications=tuple(notifications), unseen=unseen)


async def _first(stream: AsyncGenerator[BatchT]) -> BatchT:
    """One batch: the next is asked for once this one is dealt with."""
    async with aclosing(stream) as batches:
        return await anext(batches)


def _touched(batch: RevisionBatch, revisions: Iterable[Revision]) -> StreamBatch:
    items: dict[int, list[Snapshot]] = {}
    for one in revisions:
        held = items.setdefault(one.id, [])
        if one.rev:
            held.append(_snapshot(one))
    return StreamBatch(
        items=tuple(TouchedItem(id=item_id, snapshots=tuple(found)) for item_id, found in items.items()),
        token=batch.continuation_token,
        is_last=batch.is_last_batch,
        newest=_newest(batch.values),
    )


def _newest(revisions: Iterable[Revision]) -> datetime | None:
    return max((at for one in revisions if (at := _changed(one))), default=None)


def _changed(revision: Revision) -> datetime | None:
    return moment(revision.fields.get(CHANGED))


def _snapshot(revision: Revision) -> Snapshot:
    return Snapshot(
        rev=revision.rev, fields=revision.fields, relations=tuple(_relation(one) for one in revision.relations)
    )


def _update(update: Update) -> UpdateTold:
    changed = update.fields.get(CHANGED)
    until = update.revised_date if update.revised_date and update.revised_date.year < NEVER_YEAR else None
    return UpdateTold(
        id=update.id,
        rev=update.rev,
        at=moment(changed.new_value) if changed else None,
        until=until,
        resource=_resource(update),
    )


def _resource(update: Update) -> dict[str, Json]:
    """The entry as the service writes it: what did not change is not in it."""
    resource: dict[str, Json] = {
        "id": update.id,
        "workItemId": update.work_item_id,
        "rev": update.rev,
        "revisedBy": update.revised_by,
    }
    if update.revised_date:
        resource["revisedDate"] = update.revised_date.isoformat().replace("+00:00", "Z")
    if update.fields:
        resource["fields"] = {name: _change(change) for name, change in update.fields.items()}
    sides = {"added": update.relations.added, "removed": update.relations.removed, "updated": update.relations.updated}
    if told := {name: [*map(_relation, relations)] for name, relations in sides.items() if relations}:
        resource["relations"] = _OBJECT.validate_python(told)
    return resource


def _change(change: FieldChange) -> Json:
    sides = {"oldValue": change.old_value, "newValue": change.new_value}
    return {name: value for name, value in sides.items() if value is not None}


def _relation(relation: Relation) -> dict[str, Json]:
    return {"rel": relation.rel, "url": relation.url, "attributes": relation.attributes}


def _only_version(comment: Comment) -> CommentVersionTold:
    return CommentVersionTold(
        comment_id=comment.id, version=comment.version, text=comment.text, at=comment.created_date
    )
