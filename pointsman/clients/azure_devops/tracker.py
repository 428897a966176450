"""`ports.WorkTracker` over Azure DevOps, for one or several organisations."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from pointsman.clients.azure_devops.answers import Update, WorkItem
from pointsman.clients.azure_devops.caching import TYPES_AGE
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.clients.azure_devops.patches import document
from pointsman.contracts.base import Json
from pointsman.contracts.tracker import ItemUpdate, ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.ports import Missing, Rejected

_MOMENT = TypeAdapter(datetime)


class Tracker:
    """Finds the client of an item's organisation by its lower-case slug, and says things in our contracts."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client for slug, client in organisations.items()}
        self._identities: dict[str, str] = {}

    async def get(self, key: WorkItemKey) -> TrackedItem:
        """Read the item; one in the recycle bin comes back with `deleted`. Two requests for that one."""
        client = self._client(key.organisation)
        try:
            return _tracked(client, await client.work_items.get(key.id))
        except Missing as missing:
            item = await _from_recycle_bin(client, key.id)
            if item is None:
                raise missing
            return item

    async def heard(self, key: WorkItemKey) -> None:
        """The item has changed, somebody else says: what was read of it before is used no more."""
        await self._client(key.organisation).heard(key.id)

    async def updates(self, key: WorkItemKey, after_rev: int = 0) -> Sequence[ItemUpdate]:
        """History entries whose `rev` is above `after_rev`, oldest first; links moved at `after_rev` are not in it."""
        # Each revision has at least one entry, so the first `after_rev` entries are all too old.
        found = await self._client(key.organisation).work_items.updates(key.id, skip=after_rev)
        return [_item_update(update) for update in found if update.rev > after_rev]

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        """One PATCH, guarded by `test /rev`: a repeated call after success raises `Conflict`."""
        client = self._client(key.organisation)
        return _tracked(client, await client.work_items.patch(key.id, document(rev, change)))

    async def identity(self, organisation: str = "") -> str:
        """Unique name of the account that writes; cached. Several organisations must agree on it or be named."""
        slugs = [organisation.lower()] if organisation else sorted(self._clients)
        names = {slug: await self._identity(slug) for slug in slugs}
        if len(set(names.values())) != 1:
            raise Rejected(
                f"the organisations are written to by different accounts: {names}; name the organisation",
                code="AmbiguousIdentity",
            )
        return names[slugs[0]]

    async def _identity(self, slug: str) -> str:
        if slug not in self._identities:
            data = await self._client(slug).connection_data(TYPES_AGE)
            self._identities[slug] = data.authenticated_user.unique_name
        return self._identities[slug]

    def _client(self, organisation: str) -> AzureDevOps:
        client = self._clients.get(organisation.lower())
        if client is None:
            raise Rejected(
                f"no access to organisation {organisation!r}; configured: {', '.join(sorted(self._clients)) or 'none'}",
                code="UnknownOrganisation",
            )
        return client


async def _from_recycle_bin(client: AzureDevOps, item_id: int) -> TrackedItem | None:
    try:
        entry = await client.work_items.deleted(item_id)
    except Missing:
        return None
    item = entry.resource or WorkItem(id=item_id)
    return _tracked(client, item).model_copy(update={"deleted": True})


def _tracked(client: AzureDevOps, item: WorkItem) -> TrackedItem:
    return TrackedItem(
        id=item.id,
        rev=item.rev,
        fields=item.fields,
        relations=tuple(_relation(relation.rel, relation.url, relation.attributes) for relation in item.relations),
        url=item.page or f"{client.base_url}/_workitems/edit/{item.id}",
    )


def _relation(rel: str, url: str, attributes: dict[str, Json]) -> dict[str, Json]:
    return {"rel": rel, "url": url, "attributes": attributes}


def _item_update(update: Update) -> ItemUpdate:
    return ItemUpdate(
        id=update.id,
        rev=update.rev,
        revised_by=unique_name(update.revised_by),
        revised_at=_revised_at(update),
        changed={name: (change.old_value, change.new_value) for name, change in update.fields.items()},
    )


def _revised_at(update: Update) -> datetime | None:
    """When the change was made: `revisedDate` says when it was superseded, year 9999 for the newest."""
    changed = update.fields.get("System.ChangedDate")
    try:
        return _MOMENT.validate_python(changed.new_value) if changed and changed.new_value else _superseded(update)
    except ValidationError:
        return _superseded(update)


def _superseded(update: Update) -> datetime | None:
    return update.revised_date if update.revised_date and 1 < update.revised_date.year < 9999 else None
