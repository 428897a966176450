"""What checks of a process ask about items, read from the service: fields, links, history, pull requests.

What cannot be read is None in the facts, so that no check takes it for held.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pointsman.clients.azure_devops.answers import Relation, Update, WorkItem, WorkItemType
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.contracts.base import Json
from pointsman.contracts.process import Change, Graph, ItemFacts, LinkedItem, PullRequest
from pointsman.domain.artifacts import Artifact, ArtifactKind, parse
from pointsman.domain.chains import ITEM_IN_URL
from pointsman.domain.loose import moment, number_in, string
from pointsman.ports import Missing, Rejected

TYPE, STATE, TITLE, PROJECT = "System.WorkItemType", "System.State", "System.Title", "System.TeamProject"
CHANGED, CHANGED_BY, AUTHORISED_AS = "System.ChangedDate", "System.ChangedBy", "System.AuthorizedAs"
ARTIFACT = "ArtifactLink"
UNKNOWN_TIME = datetime(1, 1, 1, tzinfo=UTC)


class ProcessReader:
    """`ports.ProcessSource` over Azure DevOps, for one or several organisations. What it asks goes in bulk."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client.in_bulk() for slug, client in organisations.items()}
        self._readers: dict[tuple[str, frozenset[str]], FactsReader] = {}

    async def ids(self, organisation: str, project: str, where: str, after: int, limit: int) -> Sequence[int]:
        """One request where the answer is within the limit of the service; see `QueriesApi.ids`."""
        bound = f"[System.Id] > {after}"
        found = await self._client(organisation).queries.ids(f"({where}) AND {bound}" if where else bound, project)
        return found[:limit]

    async def facts(self, organisation: str, item_id: int, asked: frozenset[str]) -> ItemFacts:
        return await FactsReader(self._client(organisation), asked).item(item_id)

    async def identity(self, organisation: str = "") -> str:
        return (await self._client(organisation).connection_data()).authenticated_user.unique_name

    def _client(self, organisation: str) -> AzureDevOps:
        if (client := self._clients.get(organisation.lower())) is None:
            raise Rejected(f"organisation {organisation!r} is not among {', '.join(sorted(self._clients))}")
        return client


class FactsReader:
    """Reads items one after the other. Types are read once; `asked` are the fields of linked items to read."""

    def __init__(self, client: AzureDevOps, asked: Iterable[str] = ()) -> None:
        self._client = client
        self._fields = (TYPE, STATE, *sorted(asked))
        self._graphs: dict[tuple[str, str], Graph | None] = {}

    async def item(self, item_id: int) -> ItemFacts:
        """Three requests and one for each linked pull request. Raises `Missing` as `work_items.get` does."""
        item = await self._client.work_items.get(item_id)
        project, kind = string(item.fields.get(PROJECT)), string(item.fields.get(TYPE))
        updates = await self._client.work_items.updates(item_id)
        return ItemFacts(
            id=item.id,
            type=kind,
            state=string(item.fields.get(STATE)),
            rev=item.rev,
            title=string(item.fields.get(TITLE)),
            fields=item.fields,
            links=tuple(await self._links(item.relations)),
            changes=tuple(map(_change, updates)),
            graph=await self._graph(project, kind),
            pull_requests=await self._pull_requests(item),
        )

    async def _links(self, relations: Sequence[Relation]) -> list[LinkedItem]:
        ids = {id(one): number_in(ITEM_IN_URL, one.url) for one in relations}
        wanted = sorted({number for number in ids.values() if number})
        found = {one.id: one for one in await self._client.work_items.batch(wanted, self._fields)} if wanted else {}
        return [_link(one, ids[id(one)], found) for one in relations]

    async def _graph(self, project: str, kind: str) -> Graph | None:
        if (project, kind) not in self._graphs:
            try:
                self._graphs[project, kind] = _steps(await self._client.types.get(project, kind))
            except Missing:
                self._graphs[project, kind] = None  # a type that the project no longer has
        return self._graphs[project, kind]

    async def _pull_requests(self, item: WorkItem) -> tuple[PullRequest, ...] | None:
        named = [artifact for one in item.relations if (artifact := parse(one.url))]
        wanted = [one for one in named if one.kind is ArtifactKind.PULL_REQUEST]
        try:
            return tuple([await self._pull_request(one) for one in wanted])
        except (Missing, Rejected):
            return None  # a repository that we may not see, for one

    async def _pull_request(self, artifact: Artifact) -> PullRequest:
        found = await self._client.pull_requests.get(artifact.project_id, artifact.number)
        return PullRequest(
            id=artifact.number,
            author=unique_name(found.created_by),
            completed=found.status == "completed",
            approvers=tuple(one.unique_name for one in found.reviewers if one.approves and not one.is_container),
        )


def _link(relation: Relation, item_id: int, found: Mapping[int, WorkItem]) -> LinkedItem:
    name = string(relation.attributes.get("name")) if relation.rel == ARTIFACT else relation.rel
    item = found.get(item_id)
    if item is None:
        return LinkedItem(relation=name, id=item_id)
    fields = item.fields
    return LinkedItem(
        relation=name,
        id=item_id,
        type=string(fields.get(TYPE)),
        state=string(fields.get(STATE)),
        fields={key: value for key, value in fields.items() if key not in (TYPE, STATE)},
    )


def _change(update: Update) -> Change:
    before: dict[str, Json] = {name: one.old_value for name, one in update.fields.items() if one.old_value is not None}
    after: dict[str, Json] = {name: one.new_value for name, one in update.fields.items()}
    return Change(
        update=update.id,
        at=moment(after.get(CHANGED)) or update.revised_date or UNKNOWN_TIME,
        by=unique_name(after.get(CHANGED_BY)) or unique_name(update.revised_by),
        authorised_as=unique_name(after.get(AUTHORISED_AS)),
        before=before,
        after=after,
    )


def _steps(kind: WorkItemType) -> Graph:
    """The service names no reasons with its transitions, so any reason goes."""
    return Graph(steps={state: {step.to: () for step in steps} for state, steps in kind.transitions.items()})
