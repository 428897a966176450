"""`ports_reconciliation.ItemPages` over Azure DevOps: items in pages, by one query and one batch for each."""

from collections.abc import Mapping, Sequence

from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.contracts.reconciliation import TheirItem
from pointsman.domain.loose import moment, string
from pointsman.ports import Missing, Rejected

PROJECT, CHANGED = "System.TeamProject", "System.ChangedDate"


class ItemPages:
    """Finds the client of an organisation by its lower-case slug. What it asks goes in bulk."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client.in_bulk() for slug, client in organisations.items()}

    async def projects(self, organisation: str) -> Sequence[str]:
        return sorted(one.name for one in await self._client(organisation).projects.all())

    async def page(
        self, organisation: str, project: str, after: int, limit: int, fields: Sequence[str]
    ) -> Sequence[TheirItem]:
        """Two requests, whatever the project's size; two more where an item went while they were asked."""
        queries, found = self._client(organisation).queries, list[TheirItem]()
        while missing := limit - len(found):
            ids = await queries.first("", project, after, missing)
            found += await self.items(organisation, ids, fields)
            if len(ids) < missing:
                break
            after = ids[-1]
        return found

    async def items(self, organisation: str, ids: Sequence[int], fields: Sequence[str]) -> Sequence[TheirItem]:
        """A request for 200 ids; none for none."""
        found = await self._client(organisation).work_items.batch(ids, fields)
        return [_told(one) for one in sorted(found, key=lambda one: one.id)]

    async def in_recycle_bin(self, organisation: str, item_id: int) -> TheirItem | None:
        try:
            entry = await self._client(organisation).work_items.deleted(item_id)
        except Missing:
            return None
        item = _told(entry.resource or WorkItem(id=item_id))
        return item.model_copy(update={"deleted": True, "project": item.project or entry.project})

    def _client(self, organisation: str) -> AzureDevOps:
        if (client := self._clients.get(organisation.lower())) is None:
            configured = ", ".join(sorted(self._clients)) or "none"
            raise Rejected(
                f"no access to organisation {organisation!r}; configured: {configured}. Nothing was read or changed",
                code="UnknownOrganisation",
            )
        return client


def _told(item: WorkItem) -> TheirItem:
    return TheirItem(
        id=item.id,
        rev=item.rev,
        project=string(item.fields.get(PROJECT)),
        changed_at=moment(item.fields.get(CHANGED)),
        fields=item.fields,
    )
