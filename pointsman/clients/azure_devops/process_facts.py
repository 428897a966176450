"""What checks of a process ask about items, read from the service: fields, links, history, pull requests.

What cannot be read is None in the facts, so that no check takes it for held.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pointsman.clients.azure_devops import project_facts
from pointsman.clients.azure_devops.answers import Relation, Update, WorkItem, WorkItemType
from pointsman.clients.azure_devops.caching import FRESH, TYPES_AGE
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.clients.azure_devops.nodes import Node, Tree
from pointsman.clients.azure_devops.test_plans import LastOutcome
from pointsman.contracts.base import Json
from pointsman.contracts.process import Change, Graph, ItemFacts, LinkedItem, Planned, ProjectFacts, PullRequest
from pointsman.domain.artifacts import Artifact, ArtifactKind, parse
from pointsman.domain.chains import ITEM_IN_URL
from pointsman.domain.loose import moment, number_in, string
from pointsman.ports import Missing, Rejected

TYPE, STATE, TITLE, PROJECT = "System.WorkItemType", "System.State", "System.Title", "System.TeamProject"
CHANGED, CHANGED_BY, AUTHORISED_AS = "System.ChangedDate", "System.ChangedBy", "System.AuthorizedAs"
ITERATION = "System.IterationPath"
ARTIFACT, PROVED_BY = "ArtifactLink", "Microsoft.VSTS.Common.TestedBy-Forward"
UNKNOWN_TIME = datetime(1, 1, 1, tzinfo=UTC)
ITEM_AGE = timedelta(seconds=10)
"""Of an item that somebody waits for: as long as one event is worked on."""
JUDGED_AGE = timedelta(seconds=1)
"""Of an item whose links a write is judged by: a link makes no revision, so that the history does not tell of it.
Whoever writes has read the item just before."""
LINKED_AGE, LINKED_AGE_IN_BULK = timedelta(seconds=10), timedelta(minutes=5)
"""Of the other ends of links. Where their events come to us they are forgotten sooner."""


class ProcessReader:
    """`ports_process.RuledProjects` over Azure DevOps, for one or several organisations. What it asks goes in bulk,
    but for what somebody waits for."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._prompt = {slug.lower(): client for slug, client in organisations.items()}
        self._clients = {slug: client.in_bulk() for slug, client in self._prompt.items()}

    async def ids(self, organisation: str, project: str, where: str, after: int, limit: int) -> Sequence[int]:
        """One request, or two for each slice; see `QueriesApi.first`."""
        return await self._client(organisation).queries.first(where, project, after, limit)

    def reader(self, organisation: str, asked: frozenset[str]) -> "FactsReader":
        return FactsReader(self._client(organisation), asked, linked_age=LINKED_AGE_IN_BULK)

    def at_once(self, organisation: str, asked: frozenset[str], *, linked_now: bool = False) -> "FactsReader":
        self._client(organisation)  # one that nobody named is refused
        ages = (JUDGED_AGE, FRESH) if linked_now else (ITEM_AGE, LINKED_AGE)
        return FactsReader(self._prompt[organisation.lower()], asked, *ages)

    async def process(self, organisation: str, project: str) -> str:
        return await self._client(organisation).projects.process_name(project, TYPES_AGE)

    async def parent(self, organisation: str, process: str) -> str:
        return await self._client(organisation).processes.parent_name(process, TYPES_AGE)

    async def in_bin(self, organisation: str, item_id: int) -> bool:
        try:
            await self._client(organisation).work_items.deleted(item_id)
        except Missing:
            return False
        return True

    async def whole(self, organisation: str, project: str, days: int, merged_days: int = 0) -> ProjectFacts:
        return await project_facts.read(self._client(organisation), project, days, merged_days)

    async def identity(self, organisation: str = "") -> str:
        return (await self._client(organisation).connection_data(TYPES_AGE)).authenticated_user.unique_name

    def _client(self, organisation: str) -> AzureDevOps:
        if (client := self._clients.get(organisation.lower())) is None:
            raise Rejected(f"organisation {organisation!r} is not among {', '.join(sorted(self._clients))}")
        return client


class FactsReader:
    """Reads items one after the other. Types and test plans are read once, so keep none for long; `asked` are the
    fields of linked items to tell.

    An item may be one that was read up to `age` ago and of which no event told since: its history is always asked for,
    and says whether the item has moved on. Linked items may be up to `linked_age` old.
    """

    def __init__(
        self,
        client: AzureDevOps,
        asked: Iterable[str] = (),
        age: timedelta = FRESH,
        linked_age: timedelta = FRESH,
    ) -> None:
        self._client = client
        self._asked = frozenset(asked)
        self._age, self._linked_age = age, linked_age
        self._ahead: dict[int, WorkItem] = {}
        self._graphs: dict[tuple[str, str], Graph | None] = {}
        self._plans: dict[tuple[str, int], dict[int, LastOutcome]] = {}
        self._iterations: dict[str, dict[str, Node]] = {}
        self._deleted: dict[int, bool] = {}

    async def ahead(self, item_ids: Sequence[int]) -> None:
        """Read items that will be asked for soon, and those that they are linked to: a request for 200 of each. Keeps
        them until each is asked for."""
        found = await self._client.work_items.batch(item_ids)
        self._ahead |= {item.id: item for item in found}
        if self._linked_age:
            linked = {number for item in found for one in item.relations if (number := number_in(ITEM_IN_URL, one.url))}
            await self._client.work_items.several(sorted(linked), self._linked_age)

    async def item(self, item_id: int) -> ItemFacts:
        """Three requests, fewer where it and what it is linked to were just read, one more where it has moved on since;
        and more for each linked pull request, test case, and item that may not be seen. Raises `Missing` as
        `work_items.get`."""
        item = self._ahead.pop(item_id, None) or await self._client.work_items.get(item_id, max_age=self._age)
        updates = await self._client.work_items.updates(item_id)
        if updates and updates[-1].rev > item.rev:
            item = await self._client.work_items.get(item_id)
        project, kind = string(item.fields.get(PROJECT)), string(item.fields.get(TYPE))
        links = tuple(await self._links(item.relations))
        return ItemFacts(
            id=item.id,
            type=kind,
            state=string(item.fields.get(STATE)),
            rev=item.rev,
            title=string(item.fields.get(TITLE)),
            fields=item.fields,
            links=links,
            changes=tuple(_changes(updates)),
            graph=await self._graph(project, kind),
            pull_requests=await self._pull_requests(item),
            planned=await self._planned(project, string(item.fields.get(ITERATION))),
            outcomes=await self._outcomes(project, links),
        )

    async def _links(self, relations: Sequence[Relation]) -> list[LinkedItem]:
        ids = {id(one): number_in(ITEM_IN_URL, one.url) for one in relations}
        wanted = sorted({number for number in ids.values() if number})
        found = await self._client.work_items.several(wanted, self._linked_age) if wanted else {}
        gone = {number for number in wanted if number not in found and await self._in_bin(number)}
        return [_link(one, ids[id(one)], found, self._asked) for one in relations if ids[id(one)] not in gone]

    async def _in_bin(self, item_id: int) -> bool:
        """Whether a link leads to what was deleted; anything else that cannot be read may be there."""
        if item_id not in self._deleted:
            try:
                await self._client.work_items.deleted(item_id)
                self._deleted[item_id] = True
            except (Missing, Rejected):
                self._deleted[item_id] = False
        return self._deleted[item_id]

    async def _graph(self, project: str, kind: str) -> Graph | None:
        if (project, kind) not in self._graphs:
            try:
                self._graphs[project, kind] = _steps(await self._client.types.get(project, kind, TYPES_AGE))
            except Missing:
                self._graphs[project, kind] = None  # a type that the project no longer has
        return self._graphs[project, kind]

    async def _planned(self, project: str, path: str) -> Planned | None:
        if project not in self._iterations:
            try:
                root = await self._client.nodes.get(project, Tree.ITERATIONS, max_age=TYPES_AGE)
                self._iterations[project] = {name.lower(): node for name, node in root.paths().items()}
            except (Missing, Rejected):
                self._iterations[project] = {}
        node = self._iterations[project].get(path.lower())
        if node is None:
            return None
        return Planned(path=path, start=node.attributes.start_date, finish=node.attributes.finish_date)

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

    async def _outcomes(self, project: str, links: Sequence[LinkedItem]) -> dict[int, str] | None:
        """By test case that proves the item how it ended last, in whichever plan that was."""
        cases = sorted({one.id for one in links if one.relation == PROVED_BY and one.id})
        try:
            return {case: await self._outcome(project, case) for case in cases}
        except (Missing, Rejected):
            return None  # test plans need a licence of their own

    async def _outcome(self, project: str, case: int) -> str:
        plans = {suite.plan.id for suite in await self._client.test_plans.suites_of(case) if suite.plan}
        known = [(await self._plan(project, plan)).get(case) for plan in sorted(plans)]
        ended = [one for one in known if one is not None]
        return max(ended, key=lambda one: one.completed_at or UNKNOWN_TIME).outcome if ended else ""

    async def _plan(self, project: str, plan: int) -> dict[int, LastOutcome]:
        if (project, plan) not in self._plans:
            self._plans[project, plan] = await self._client.test_plans.last_outcomes(project, plan)
        return self._plans[project, plan]


def _link(relation: Relation, item_id: int, found: Mapping[int, WorkItem], asked: Collection[str]) -> LinkedItem:
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
        fields={key: value for key, value in fields.items() if key in asked and key not in (TYPE, STATE)},
    )


def _changes(updates: Iterable[Update]) -> Iterator[Change]:
    """An entry tells only what changed: under whose account it was made, the one before tells where it does not."""
    authorised = ""
    for update in updates:
        made = _change(update)
        if not made.after:
            yield made  # links alone make no revision, and nothing tells who was authorised
            continue
        authorised = made.authorised_as or authorised
        yield made.model_copy(update={"authorised_as": authorised})


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
