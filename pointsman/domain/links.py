"""Links that an agent may propose: kinds by the names that people know, and targets as people write them.

Reference names are Microsoft's (link type reference of Azure Boards); a link to code or to a build is an artifact link
whose name says its kind. Workflows import this module into their sandbox anew for each run, so it builds no pydantic
class.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from pointsman.contracts.base import Json
from pointsman.contracts.work_items import ProposedLink, WorkItemKey
from pointsman.domain.artifacts import ARTIFACT_LINK, INTEGRATED, ArtifactKind, parse
from pointsman.domain.organisations import organisation_of
from pointsman.domain.proposals import InvalidAnswer, check_text

LINKS_MAX = 20
COMMENT_CHARS_MAX, TARGET_CHARS_MAX = 255, 2_000
PARENT, CHILD, HYPERLINK = "Parent", "Child", "Hyperlink"
_FAMILIES = {
    "System.LinkTypes.Hierarchy": (CHILD, PARENT),
    "System.LinkTypes.Dependency": ("Successor", "Predecessor"),
    "System.LinkTypes.Duplicate": ("Duplicate", "Duplicate Of"),
    "Microsoft.VSTS.Common.TestedBy": ("Tested By", "Tests"),
    "Microsoft.VSTS.Common.Affects": ("Affects", "Affected By"),
}
FORWARD, REVERSE = "-Forward", "-Reverse"
OF_ITEMS: dict[str, str] = {
    name: f"{family}{end}"
    for family, names in _FAMILIES.items()
    for name, end in zip(names, (FORWARD, REVERSE), strict=True)
} | {"Related": "System.LinkTypes.Related"}
"""Links between items: the name that people know, and the service's own."""
OF_CODE: dict[str, ArtifactKind] = {
    "Pull Request": ArtifactKind.PULL_REQUEST,
    "Fixed in Commit": ArtifactKind.COMMIT,
    "Build": ArtifactKind.BUILD,
    INTEGRATED: ArtifactKind.BUILD,
}
KINDS: tuple[str, ...] = (*OF_ITEMS, *OF_CODE, HYPERLINK)
_NAMES = {re.sub(r"[^a-z]", "", name.casefold()): name for name in KINDS} | {
    rel.casefold(): name for name, rel in OF_ITEMS.items()
}
_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)
_ITEM_PAGE = re.compile(r"/(?:_workitems/edit|_apis/wit/work_?items)/(\d{1,9})/?$", re.IGNORECASE | re.ASCII)
_CODE_PAGE = re.compile(
    r"^(?P<before>.*)/_git/(?P<repository>[^/]+)/(?P<what>pullrequest|commit)/(?P<name>[0-9a-f]{1,40})/?$",
    re.IGNORECASE | re.ASCII,
)
_BUILD_PAGE = re.compile(r"^(?P<before>.*)/_build/(?:results|index)/?$", re.IGNORECASE)


@dataclass(frozen=True)
class CodePlace:
    """What a page of Azure DevOps shows: a pull request, a commit or a build. A build is of no repository."""

    kind: ArtifactKind
    name: str
    project: str
    repository: str = ""


def kind_named(text: str) -> str:
    """The kind of link that a name means, whatever its case and its blanks.

    Raises:
        InvalidAnswer: there is none of that name.
    """
    name = _NAMES.get(text.strip().casefold()) or _NAMES.get(re.sub(r"[^a-z]", "", text.casefold()))
    if name is None:
        raise InvalidAnswer(f"link {text[:80]!r}: no such relation; there are: {', '.join(KINDS)}")
    return name


def read_links(told: Sequence[ProposedLink], about: WorkItemKey | None = None) -> tuple[ProposedLink, ...]:
    """Links as they are kept: kinds by name, items by number, each once. `about` is the item that is to have them.

    Raises:
        InvalidAnswer: a relation or a target is none, or a link leads to the item itself, or to a second parent.
    """
    if len(told) > LINKS_MAX:
        raise InvalidAnswer(f"links: {len(told)} are given, the limit is {LINKS_MAX}")
    links: dict[tuple[str, str], ProposedLink] = {}
    for one in told:
        link = _read(one, about)
        links.setdefault((link.relation, link.target), link)
    parents = [link.target for link in links.values() if link.relation == PARENT]
    if len(parents) > 1:
        raise InvalidAnswer(f"links: an item has one parent, and {len(parents)} are given: {', '.join(parents)}")
    return tuple(links.values())


def _read(one: ProposedLink, about: WorkItemKey | None) -> ProposedLink:
    kind, target = kind_named(one.relation), one.target.strip()
    check_text(f"link {kind}", target)
    check_text(f"link {kind}", one.comment)
    if len(one.comment) > COMMENT_CHARS_MAX:
        raise InvalidAnswer(f"link {kind}: its comment has {len(one.comment)} of {COMMENT_CHARS_MAX} characters")
    if not target or len(target) > TARGET_CHARS_MAX:
        raise InvalidAnswer(f"link {kind}: a target has 1 to {TARGET_CHARS_MAX} characters, this has {len(target)}")
    if kind in OF_ITEMS:
        target = str(_item(kind, target, about))
    elif kind in OF_CODE:
        _check_code(kind, target)
    elif not is_page(target):
        raise InvalidAnswer(f"link {kind}: {target[:200]!r} is no address that begins with http:// or https://")
    return ProposedLink(relation=kind, target=target, comment=one.comment.strip())


def _item(kind: str, target: str, about: WorkItemKey | None) -> int:
    number = item_number(target, about.organisation if about else "")
    if not number:
        where = f" of {about.organisation}" if about else ""
        raise InvalidAnswer(f"link {kind}: {target[:200]!r} is no number of a work item{where}")
    if about and number == about.id:
        raise InvalidAnswer(f"link {kind}: {number} is the work item itself")
    return number


def item_number(target: str, organisation: str = "") -> int:
    """The item that a target names: `17`, `#17`, its page, its address; 0 for none, or for another organisation's."""
    if found := _NUMBER.fullmatch(target):
        return int(found[1])
    if not is_page(target) or (organisation and _organisation(target) != organisation.lower()):
        return 0
    page = _ITEM_PAGE.search(urlsplit(target).path)
    return int(page[1]) if page else 0


def _check_code(kind: str, target: str) -> None:
    artifact, place = parse(target), code_place(target)
    found = artifact.kind if artifact else place.kind if place else None
    if found is not OF_CODE[kind]:
        wanted = OF_CODE[kind].name.lower().replace("_", " ")
        raise InvalidAnswer(f"link {kind}: {target[:200]!r} is no address of a {wanted} in Azure DevOps")


def code_place(url: str) -> CodePlace | None:
    """What a page of Azure DevOps shows; None for any other page.

    The project's name is left out of the path where its repository has the same.
    """
    if not is_page(url):
        return None
    parts = urlsplit(url)
    if found := _CODE_PAGE.match(parts.path):
        kind = ArtifactKind.COMMIT if found["what"].lower() == "commit" else ArtifactKind.PULL_REQUEST
        if kind is ArtifactKind.PULL_REQUEST and not found["name"].isdecimal():
            return None
        repository = unquote(found["repository"])
        return CodePlace(kind, found["name"].lower(), _project(url, found["before"]) or repository, repository)
    number = parse_qs(parts.query).get("buildId", [""])[0]
    if (page := _BUILD_PAGE.match(parts.path)) and number.isascii() and number.isdecimal():
        return CodePlace(ArtifactKind.BUILD, number, _project(url, page["before"]))
    return None


def _project(url: str, path: str) -> str:
    """The last part of the path that is not the organisation's own."""
    segments = [unquote(part) for part in path.split("/") if part]
    host = urlsplit(url).hostname or ""
    own = 0 if host.endswith(".visualstudio.com") else 2 if segments[:1] == ["tfs"] else 1
    return segments[own] if len(segments) > own else ""


def of_organisation(url: str, organisation: str) -> bool:
    return _organisation(url) == organisation.lower()


def _organisation(url: str) -> str:
    try:
        return organisation_of(url)
    except ValueError:
        return ""


def is_page(target: str) -> bool:
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", target)


def opposite(rel: str) -> str:
    """What the other end calls a link between items; empty for what has no other end."""
    if rel == OF_ITEMS["Related"]:
        return rel
    family = rel.removesuffix(FORWARD).removesuffix(REVERSE)
    if family not in _FAMILIES or family == rel:
        return ""
    return f"{family}{REVERSE if rel.endswith(FORWARD) else FORWARD}"


def name_of(rel: str) -> str:
    """The name that people know, where there is one."""
    return next((name for name, known in OF_ITEMS.items() if known == rel), rel)


def told(links: Json) -> str:
    """Links of a ledger row, each `rel target`, as people say them."""
    named = [str(one).partition(" ") for one in links] if isinstance(links, list) else []
    return ", ".join(f"{'link' if rel == ARTIFACT_LINK else name_of(rel)} {target}" for rel, _, target in named)
