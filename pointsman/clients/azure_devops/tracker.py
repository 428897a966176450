"""`ports.WorkTracker` over Azure DevOps, for one or several organisations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from pydantic import TypeAdapter, ValidationError

from pointsman.clients.azure_devops.answers import Relation, Update, WorkItem
from pointsman.clients.azure_devops.caching import TYPES_AGE
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.clients.azure_devops.patches import add_link, document
from pointsman.contracts.base import Json
from pointsman.contracts.tracker import ItemUpdate, ItemWrite, LinkWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.sync.agreeing import link_name
from pointsman.ports import Conflict, Missing, Rejected

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
            return tracked(client, await client.work_items.get(key.id))
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
        entries = [_item_update(one, before) for before, one in pairwise([None, *found]) if one]
        return [one for one in entries if one.rev > after_rev]

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        """One PATCH, guarded by `test /rev`: after success a repeated call raises `Conflict`, but for links alone.

        Links are taken away by their place in the list as it is read just before, which nothing guards. Where somebody
        moved it in between, what went by mistake is put back, and that is a `Conflict`. Links that are gone are done.
        """
        client = self._client(key.organisation)
        if not change.unlinks:
            return tracked(client, await client.work_items.patch(key.id, document(rev, change)))
        places = _places(await client.work_items.get(key.id), change.unlinks)
        after = await client.work_items.patch(key.id, document(rev, change, places))
        await _put_back(client, after, change.unlinks, await self.identity(key.organisation))
        return tracked(client, after)

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
            configured = ", ".join(sorted(self._clients)) or "none"
            raise Rejected(
                f"no access to organisation {organisation!r}; configured: {configured}. "
                "Nothing was read or changed; see what is: pointsman config explain azure_devops_url",
                code="UnknownOrganisation",
            )
        return client


def _places(item: WorkItem, unlinks: Sequence[LinkWrite]) -> list[int]:
    gone = {link_name(link.rel, link.url).casefold() for link in unlinks}
    return [at for at, one in enumerate(item.relations) if link_name(one.rel, one.url).casefold() in gone]


async def _put_back(client: AzureDevOps, after: WorkItem, unlinks: Sequence[LinkWrite], account: str) -> None:
    """Undo what a list that moved made of the places. Raises `Conflict` where it had moved."""
    if not _places(after, unlinks):
        return
    wanted = {link_name(link.rel, link.url).casefold() for link in unlinks}
    told = await client.work_items.updates(after.id, skip=max(after.rev - 1, 0))
    ours = [one for one in told if one.relations.removed and unique_name(one.revised_by) == account]
    gone = ours[-1].relations.removed if ours else []
    lost = [one for one in gone if link_name(one.rel, one.url).casefold() not in wanted]
    if lost:
        operations = [add_link(LinkWrite(rel=one.rel, url=one.url, **_named(one.attributes))) for one in lost]
        await client.work_items.patch(after.id, operations)
    raise Conflict(f"links of {after.id} moved while some were taken away: {len(lost)} others were put back")


def _named(attributes: Mapping[str, Json]) -> dict[str, str]:
    return {name: text for name in ("name", "comment") if isinstance(text := attributes.get(name), str)}


async def _from_recycle_bin(client: AzureDevOps, item_id: int) -> TrackedItem | None:
    try:
        entry = await client.work_items.deleted(item_id)
    except Missing:
        return None
    item = entry.resource or WorkItem(id=item_id)
    return tracked(client, item).model_copy(update={"deleted": True})


def tracked(client: AzureDevOps, item: WorkItem) -> TrackedItem:
    """The client's answer as our contract has it."""
    return TrackedItem(
        id=item.id,
        rev=item.rev,
        fields=item.fields,
        relations=tuple(_relation(relation.rel, relation.url, relation.attributes) for relation in item.relations),
        url=item.page or f"{client.base_url}/_workitems/edit/{item.id}",
    )


def _relation(rel: str, url: str, attributes: dict[str, Json]) -> dict[str, Json]:
    return {"rel": rel, "url": url, "attributes": attributes}


def _item_update(update: Update, before: Update | None) -> ItemUpdate:
    links = update.relations
    return ItemUpdate(
        id=update.id,
        rev=update.rev,
        revised_by=unique_name(update.revised_by),
        revised_at=_revised_at(update, before),
        changed={name: (change.old_value, change.new_value) for name, change in update.fields.items()},
        links_added=_relations(links.added),
        links_removed=_relations(links.removed),
        links_edited=_relations(links.updated),
    )


def _relations(told: Sequence[Relation]) -> tuple[dict[str, Json], ...]:
    return tuple(_relation(one.rel, one.url, one.attributes) for one in told)


def _revised_at(update: Update, before: Update | None) -> datetime | None:
    """When the change was made. A change of links alone does not say; it superseded the entry before it."""
    changed = update.fields.get("System.ChangedDate")
    told = _superseded(before) or (None if before else _superseded(update))
    try:
        return _MOMENT.validate_python(changed.new_value) if changed and changed.new_value else told
    except ValidationError:
        return told


def _superseded(update: Update | None) -> datetime | None:
    """`revisedDate` says when an entry was superseded, year 9999 for the newest."""
    at = update.revised_date if update else None
    return at if at and 1 < at.year < 9999 else None
