"""`ports_matrix.MatrixSource` over Azure DevOps. All calls are in bulk: whoever does something at once goes first."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from pointsman.clients.azure_devops.answers import Relation, WorkItem
from pointsman.clients.azure_devops.answers_builds import Build
from pointsman.clients.azure_devops.answers_code import PullRequest
from pointsman.clients.azure_devops.answers_tests import UNTESTED
from pointsman.clients.azure_devops.builds import BuildCriteria
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.errors import NotPermitted
from pointsman.clients.azure_devops.history import LinkChange, Revision
from pointsman.clients.azure_devops.names import unique_name
from pointsman.clients.azure_devops.pull_requests import Criteria
from pointsman.contracts.matrix import (
    BuildTold,
    CodeKind,
    CodeLink,
    ItemsBatch,
    LinkKind,
    LinksBatch,
    LinkTold,
    MatrixItem,
    OutcomeTold,
    RequestTold,
)
from pointsman.domain import artifacts
from pointsman.domain.artifacts import ARTIFACT_LINK, ArtifactKind, parse
from pointsman.domain.loose import string, truth
from pointsman.ports import Missing, Rejected

BATCH_MAX = 1_000
TITLE_CHARS = 255  # the service allows no more
LISTED_FROM = 20  # so many pull requests of a project are found sooner in its list than one by one
TYPE, STATE, TITLE, PROJECT = "System.WorkItemType", "System.State", "System.Title", "System.TeamProject"
REV, DELETED, CODE_LINKS = "System.Rev", "System.IsDeleted", "System.ExternalLinkCount"
FIELDS = (TYPE, STATE, TITLE, PROJECT, REV, DELETED, CODE_LINKS)
FORWARD, REVERSE = "-Forward", "-Reverse"
LINKS = {
    "System.LinkTypes.Hierarchy": LinkKind.CHILD,
    "Microsoft.VSTS.Common.TestedBy": LinkKind.TESTED_BY,
    "Microsoft.VSTS.Common.Affects": LinkKind.AFFECTS,
    "System.LinkTypes.Related": LinkKind.RELATED,
}
CODE = {
    ArtifactKind.PULL_REQUEST: CodeKind.PULL_REQUEST,
    ArtifactKind.COMMIT: CodeKind.COMMIT,
    ArtifactKind.BUILD: CodeKind.BUILD,
}
COMPLETED = "completed"


class MatrixReader:
    """Finds the client of an organisation by its lower-case slug."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client.in_bulk() for slug, client in organisations.items()}

    async def items(self, organisation: str, project: str, token: str) -> ItemsBatch:
        history = self._client(organisation).history
        stream = history.revision_stream(token, project=project, batch_max=BATCH_MAX, fields=FIELDS, latest_only=True)
        async with aclosing(stream) as batches:
            batch = await anext(batches)
        found = {one.id: _item(one) for one in batch.values}
        return ItemsBatch(items=tuple(found.values()), token=batch.continuation_token, is_last=batch.is_last_batch)

    async def links(self, organisation: str, project: str, token: str) -> LinksBatch:
        async with aclosing(self._client(organisation).history.link_stream(token, project=project)) as batches:
            batch = await anext(batches)
        told = (_link(one) for one in batch.values)
        return LinksBatch(
            links=tuple(one for one in told if one), token=batch.continuation_token, is_last=batch.is_last_batch
        )

    async def some(self, organisation: str, ids: Sequence[int]) -> Sequence[MatrixItem]:
        fields = [name for name in FIELDS if name != DELETED]
        return [_item(one) for one in await self._client(organisation).work_items.batch(ids, fields)]

    async def code(self, organisation: str, ids: Sequence[int]) -> Mapping[int, Sequence[CodeLink]]:
        """200 items a request, each with all its fields: the service tells links with all of them or not at all."""
        found = await self._client(organisation).work_items.batch(ids, expand="relations")
        return {one.id: [link for relation in one.relations if (link := _code(relation))] for one in found}

    async def touched(self, organisation: str, project: str, since: datetime) -> frozenset[int]:
        """Pages of the pull requests that were made or closed since, a request for the items of 200 of them, and pages
        of commits for each repository."""
        client, uris = self._client(organisation), list[str]()
        project_id = (await client.project(project)).id
        for by_closing in (False, True):
            criteria = Criteria(since=since, by_closing=by_closing)
            async for one in client.pull_requests.each(project, criteria):
                if one.repository:
                    uris.append(artifacts.pull_request(project_id, one.repository.id, one.pull_request_id).uri)
        named = await client.work_items.linked_to(uris)
        found = {item_id for ids in named.values() for item_id in ids}
        for repository in await client.git.repositories(project):
            if repository.default_branch and not repository.is_disabled:
                async for commit in client.git.linked_commits(project, repository.id, since=since):
                    found |= {item.number for item in commit.work_items}
        return frozenset(found)

    async def requests(
        self, organisation: str, wanted: Sequence[CodeLink]
    ) -> AsyncGenerator[tuple[CodeLink, RequestTold | None]]:
        """From the lists of their projects as long as any is missing, newest first; the rest one by one.

        One more request for each that is completed, for its commits: it is the last for that one.
        """
        client = self._client(organisation)
        by_project: dict[str, dict[int, CodeLink]] = {}
        for link in wanted:
            by_project.setdefault(link.place.partition("/")[0], {})[int(link.name)] = link
        for project, missing in by_project.items():
            if len(missing) >= LISTED_FROM:
                async for link, told in _listed(client, project, missing):
                    yield link, await _with_commits(client, link, told)
            for number, link in missing.items():
                one = await _request(client, project, number)
                yield link, await _with_commits(client, link, one) if one else None

    async def builds(self, organisation: str, project: str, since: datetime | None) -> AsyncGenerator[BuildTold]:
        async for one in self._client(organisation).builds.each(project, BuildCriteria(since=since)):
            yield _build(one)

    async def build(self, organisation: str, project: str, number: int) -> BuildTold | None:
        try:
            return _build(await self._client(organisation).builds.get(project, number))
        except Missing:
            return None

    async def outcomes(self, organisation: str, project: str, since: datetime | None) -> AsyncGenerator[OutcomeTold]:
        client = self._client(organisation)
        if since is None:
            async for plan in client.test_plans.plans(project):
                for last in (await client.test_plans.last_outcomes(project, plan.id)).values():
                    yield OutcomeTold(
                        case=last.test_case_id, outcome=last.outcome, run=last.run_id, at=last.completed_at
                    )
            return
        async for run in client.test_results.runs_between(project, since, datetime.now(UTC)):
            async for result in client.test_results.results(project, run.id):
                if result.test_case.number and result.outcome not in UNTESTED:
                    at = result.completed_date
                    yield OutcomeTold(case=result.test_case.number, outcome=result.outcome, run=run.id, at=at)

    def _client(self, organisation: str) -> AzureDevOps:
        if (client := self._clients.get(organisation.lower())) is None:
            raise Rejected(f"organisation {organisation!r} is not among {', '.join(sorted(self._clients))}")
        return client


async def _listed(
    client: AzureDevOps, project: str, missing: dict[int, CodeLink]
) -> AsyncGenerator[tuple[CodeLink, RequestTold]]:
    """Takes what it finds out of `missing`. A project that we may not see tells none."""
    try:
        async with aclosing(client.pull_requests.each(project)) as listed:
            async for one in listed:
                if link := missing.pop(one.pull_request_id, None):
                    yield link, _request_told(one)
                if not missing:
                    return
    except Missing:
        return


async def _request(client: AzureDevOps, project: str, number: int) -> RequestTold | None:
    try:
        return _request_told(await client.pull_requests.get(project, number))
    except (Missing, Rejected):
        return None


async def _with_commits(client: AzureDevOps, link: CodeLink, told: RequestTold) -> RequestTold | None:
    """A completed one with all that it brought, so that each commit leads to what it serves."""
    if told.status != COMPLETED:
        return told
    project, _, repository = link.place.partition("/")
    found = dict.fromkeys(told.commits)
    try:
        async for commit in client.pull_requests.commits(project, repository, told.number):
            found[commit.commit_id] = None
    except (Missing, NotPermitted):  # its repository is gone, or not for us to see
        return told
    except Rejected:
        return None  # no data, and asked for again: some of its commits would pass for all
    return told.model_copy(update={"commits": tuple(found)})


def _request_told(one: PullRequest) -> RequestTold:
    author = unique_name(one.created_by)
    approving = {r.unique_name.casefold() for r in one.reviewers if r.approves and not r.is_container}
    commits = [c.commit_id for c in (one.last_merge_source_commit, one.last_merge_commit) if c]
    return RequestTold(
        number=one.pull_request_id,
        status=one.status,
        author=author,
        approvals=len(approving - {author.casefold()}),
        commits=tuple(dict.fromkeys(commits)),
    )


def _build(one: Build) -> BuildTold:
    result = one.result if one.is_done else ""
    return BuildTold(id=one.id, number=one.build_number, status=one.status, result=result, commit=one.source_version)


def _item(one: Revision | WorkItem) -> MatrixItem:
    fields = one.fields
    count = fields.get(CODE_LINKS)
    return MatrixItem(
        id=one.id,
        project=string(fields.get(PROJECT)),
        type=string(fields.get(TYPE)),
        state=string(fields.get(STATE)),
        title=string(fields.get(TITLE))[:TITLE_CHARS],
        rev=one.rev,
        deleted=truth(fields.get(DELETED)),
        linked_to_code=count != 0,
    )


def _link(one: LinkChange) -> LinkTold | None:
    """From the forward end, whichever end tells it."""
    kind = LINKS.get(one.rel.removesuffix(FORWARD).removesuffix(REVERSE))
    if kind is None:
        return None
    source, target = one.source_id, one.target_id
    if one.rel.endswith(REVERSE):
        source, target = target, source
    return LinkTold(kind=kind, source=source, target=target, active=one.is_active)


def _code(relation: Relation) -> CodeLink | None:
    artifact = parse(relation.url) if relation.rel == ARTIFACT_LINK else None
    if artifact is None or artifact.kind not in CODE:
        return None
    place = f"{artifact.project_id}/{artifact.repository_id}" if artifact.project_id else ""
    return CodeLink(kind=CODE[artifact.kind], name=artifact.name.lower(), place=place)
