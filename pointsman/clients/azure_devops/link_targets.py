"""`ports_links.LinkTargets` over Azure DevOps: items by number, code and builds by their page or their `vstfs` URI."""

from collections.abc import Mapping
from dataclasses import replace

from pointsman.clients.azure_devops.answers_code import Repository
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.tracker import tracked
from pointsman.contracts.tracker import LinkWrite
from pointsman.contracts.work_items import ProposedLink, WorkItemKey
from pointsman.domain import artifacts
from pointsman.domain.artifacts import ARTIFACT_LINK, Artifact, ArtifactKind
from pointsman.domain.links import HYPERLINK, OF_CODE, OF_ITEMS, CodePlace, code_place, of_organisation
from pointsman.ports import Missing, Rejected
from pointsman.ports_links import LinkTarget


class LinkTargets:
    """Finds the client of an item's organisation by its lower-case slug."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client for slug, client in organisations.items()}

    async def target(self, key: WorkItemKey, link: ProposedLink) -> LinkTarget:
        """One or two requests; none for a web page, which nobody looks at. Raises `Missing`."""
        client = self._clients.get(key.organisation.lower())
        if client is None:
            raise Rejected(f"no access to organisation {key.organisation!r}", code="UnknownOrganisation")
        if link.relation in OF_ITEMS:
            return await _item(client, link)
        if link.relation == HYPERLINK:
            return LinkTarget(LinkWrite(rel=HYPERLINK, url=link.target, comment=link.comment))
        artifact = await _artifact(client, key, link.target)
        write = LinkWrite(rel=ARTIFACT_LINK, url=artifact.uri, name=link.relation, comment=link.comment)
        if artifact.kind is not OF_CODE[link.relation]:
            raise Missing(f"{link.target} is no {link.relation}")
        return LinkTarget(write)


async def _item(client: AzureDevOps, link: ProposedLink) -> LinkTarget:
    found = tracked(client, await client.work_items.get(int(link.target)))
    url = f"{client.base_url}/_apis/wit/workItems/{found.id}"
    return LinkTarget(LinkWrite(rel=OF_ITEMS[link.relation], url=url, comment=link.comment), found)


async def _artifact(client: AzureDevOps, key: WorkItemKey, target: str) -> Artifact:
    """With ids for the names that a page has in its address."""
    place, artifact = code_place(target), artifacts.parse(target)
    if artifact is not None:
        await _look(client, artifact, artifact.project_id or key.project)
        return artifact
    if place is None or not of_organisation(target, key.organisation):
        raise Missing(f"{target} is no page of organisation {key.organisation}")
    if place.kind is ArtifactKind.BUILD:
        await client.builds.get(place.project or key.project, int(place.name))
        return artifacts.build(int(place.name))
    repository = await client.git.repository(place.project, place.repository)
    return await _in_repository(client, place, repository)


async def _look(client: AzureDevOps, artifact: Artifact, project: str) -> None:
    match artifact.kind:
        case ArtifactKind.PULL_REQUEST:
            await client.pull_requests.get(project, artifact.number)
        case ArtifactKind.COMMIT:
            await client.git.commit(project, artifact.repository_id, artifact.name)
        case ArtifactKind.BUILD:
            await client.builds.get(project, artifact.number)
        case ArtifactKind.BRANCH:
            raise Missing(f"{artifact.uri} is a branch, and is not linked to")


async def _in_repository(client: AzureDevOps, place: CodePlace, repository: Repository) -> Artifact:
    if repository.project is None:
        raise Missing(f"the project of repository {repository.name} is not told")
    found = Artifact(place.kind, place.name, repository.project.id, repository.id)
    if place.kind is ArtifactKind.COMMIT:
        commit = await client.git.commit(found.project_id, found.repository_id, place.name)
        return replace(found, name=commit.commit_id)
    request = await client.pull_requests.get(found.project_id, found.number)
    if request.repository is None or request.repository.id.lower() != repository.id.lower():
        raise Missing(f"repository {repository.name} has no pull request {found.number}")
    return found
