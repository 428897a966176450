"""What a work item's link to code or a build says: `vstfs` URIs, written and read.

The link is a relation `ArtifactLink` of the item, and its `attributes.name` says what kind it is. A pull request, a
commit and a branch are named by project, repository and their own name, with the slashes between them escaped.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote

ARTIFACT_LINK = "ArtifactLink"
_BRANCH = "GB"
_HEADS = "refs/heads/"
_SCHEME = "vstfs:///"


class ArtifactKind(StrEnum):
    """The part of the URI that says what it names."""

    PULL_REQUEST = "Git/PullRequestId"
    COMMIT = "Git/Commit"
    BRANCH = "Git/Ref"
    BUILD = "Build/Build"

    @property
    def link_name(self) -> str:
        """What the service calls such a link, in `attributes.name`. A build may also be `Integrated in build`."""
        return _LINK_NAMES[self]


_LINK_NAMES = {
    ArtifactKind.PULL_REQUEST: "Pull Request",
    ArtifactKind.COMMIT: "Fixed in Commit",
    ArtifactKind.BRANCH: "Branch",
    ArtifactKind.BUILD: "Build",
}
INTEGRATED = "Integrated in build"


@dataclass(frozen=True)
class Artifact:
    """`name` is the number of a pull request or build, the id of a commit, or a branch without `refs/heads/`.

    A build is known by its number alone: `project_id` and `repository_id` are empty.
    """

    kind: ArtifactKind
    name: str
    project_id: str = ""
    repository_id: str = ""

    @property
    def number(self) -> int:
        """Number of a pull request or build; 0 for anything else."""
        return int(self.name) if self.kind in _NUMBERED else 0

    @property
    def uri(self) -> str:
        if self.kind is ArtifactKind.BUILD:
            return f"{_SCHEME}{self.kind}/{self.name}"
        mark = _BRANCH if self.kind is ArtifactKind.BRANCH else ""
        place = "/".join((self.project_id, self.repository_id, mark + self.name))
        return f"{_SCHEME}{self.kind}/{quote(place, safe='')}"


_NUMBERED = (ArtifactKind.PULL_REQUEST, ArtifactKind.BUILD)


def pull_request(project_id: str, repository_id: str, number: int) -> Artifact:
    return Artifact(ArtifactKind.PULL_REQUEST, str(number), project_id, repository_id)


def commit(project_id: str, repository_id: str, commit_id: str) -> Artifact:
    return Artifact(ArtifactKind.COMMIT, commit_id, project_id, repository_id)


def branch(project_id: str, repository_id: str, name: str) -> Artifact:
    """A branch, by its short name or as `refs/heads/NAME`."""
    return Artifact(ArtifactKind.BRANCH, name.removeprefix(_HEADS), project_id, repository_id)


def build(build_id: int) -> Artifact:
    return Artifact(ArtifactKind.BUILD, str(build_id))


def parse(uri: str) -> Artifact | None:
    """What a URI names. None for what is none of these: a changeset, a tag, a wiki page, a file, a web page.

    Lenient: case of the kind does not matter, and slashes may be there unescaped, as older clients write them.
    """
    if not uri.lower().startswith(_SCHEME):
        return None
    area, _, rest = uri[len(_SCHEME) :].partition("/")
    word, _, place = rest.partition("/")
    kind = next((kind for kind in ArtifactKind if kind.lower() == f"{area}/{word}".lower()), None)
    if kind is None:
        return None
    return _build(place) if kind is ArtifactKind.BUILD else _in_repository(kind, unquote(place))


def _build(place: str) -> Artifact | None:
    return Artifact(ArtifactKind.BUILD, place) if _is_number(place) else None


def _in_repository(kind: ArtifactKind, place: str) -> Artifact | None:
    parts = place.split("/", 2)
    if len(parts) < 3 or not all(parts):
        return None
    project_id, repository_id, name = parts
    if kind is ArtifactKind.PULL_REQUEST and not _is_number(name):
        return None
    if kind is ArtifactKind.BRANCH:
        if not name.startswith(_BRANCH) or name == _BRANCH:
            return None
        name = name.removeprefix(_BRANCH)
    return Artifact(kind, name, project_id, repository_id)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
