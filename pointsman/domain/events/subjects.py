"""What an event is about: cheap enough to be asked before a delivery is acknowledged.

Samples that Microsoft publishes contradict each other, and the payload depends on the subscription's resource version,
so an id is looked for in every place where one of them has it.
"""

import re
from collections.abc import Callable

from pointsman.contracts.base import Json
from pointsman.contracts.subjects import Subject, SubjectKind
from pointsman.domain.loose import URL_CHARS, Object, get, inner, name_or_number, number_in, text, whole

# The documentation shows the second prefix, by a careless replacement of a product's name; the service does not.
RELEASE, MISNAMED_RELEASE = "ms.vss-release.", "ms.azure-devops-release."
COMMENT = "ms.vss-code.git-pullrequest-comment-event"
PULL_REQUEST_IN_URL = re.compile(r"/pullrequests?/(\d+)", re.IGNORECASE)
REPOSITORY_IN_URL = re.compile(r"/repositories/([^/?#]+)", re.IGNORECASE)
NAME_IN_URL = re.compile(r"/_git/([^/?#]+)", re.IGNORECASE)
PROJECTS = (
    ("project",),
    ("definition", "project"),
    ("release", "project"),
    ("release", "projectReference"),
    ("deployment", "release", "project"),
)


def canonical(event_type: str) -> str:
    """The type as the service spells it."""
    name = event_type.casefold()
    return RELEASE + name.removeprefix(MISNAMED_RELEASE) if name.startswith(MISNAMED_RELEASE) else name


def subject_of(event_type: str, resource: Object) -> Subject | None:
    """None for a type that we do not know, and where the resource names nothing: it may be minimal or missing."""
    name = canonical(event_type)
    found = next((read for start, read in _READERS if name.startswith(start)), None)
    told = found(resource) if found else None
    return told if told and told.id else None


def repository_of(resource: Object) -> Object:
    """The repository as the resource tells it; of a fork it is the source."""
    places = (("repository",), ("pullRequest", "repository"), ("sourceRepository",))
    return next((found for path in places if (found := inner(resource, *path))), {})


def comment_link(resource: Object) -> str:
    """URL of a comment of a pull request, whose older version tells in no other way what it belongs to."""
    comment = inner(resource, "comment") or resource
    return text(get(inner(comment, "_links", "self"), "href"), URL_CHARS)


def project_of(resource: Object) -> str:
    """Name of the project, where the resource tells one."""
    repository = repository_of(resource)
    if name := text(get(inner(repository, "project"), "name")):
        return name
    return next((name for path in PROJECTS if (name := text(get(inner(resource, *path), "name")))), "")


def release_of(resource: Object) -> Object:
    """Of several places the first with an id: a release that has just started is shown with id 0 in one of them."""
    places = (
        ("release",),
        ("deployment", "release"),
        ("environment", "release"),
        ("approval", "release"),
    )
    return next((found for path in places if name_or_number(get(found := inner(resource, *path), "id"))), {})


def pipeline_of(resource: Object) -> Object:
    return inner(resource, "pipeline") or inner(resource, "run", "pipeline")


def repository_id(resource: Object) -> str:
    told = name_or_number(get(repository_of(resource), "id")) or name_or_number(get(resource, "repositoryId"))
    return told or in_url(REPOSITORY_IN_URL, get(resource, "url")) or in_url(REPOSITORY_IN_URL, comment_link(resource))


def repository_name(resource: Object) -> str:
    told = text(get(repository_of(resource), "name")) or text(get(resource, "repositoryName"))
    return told or in_url(NAME_IN_URL, get(resource, "repositoryUrl"))


def in_url(pattern: re.Pattern[str], url: Json) -> str:
    found = pattern.search(text(url, URL_CHARS))
    return found[1] if found else ""


def pull_request_number(resource: Object) -> int:
    told = inner(resource, "pullRequest") or resource
    linked = number_in(PULL_REQUEST_IN_URL, get(told, "url"))
    return whole(get(told, "pullRequestId")) or linked or number_in(PULL_REQUEST_IN_URL, comment_link(resource))


def _subject(kind: SubjectKind, named: Json, name: str, resource: Object) -> Subject:
    return Subject(kind=kind, id=name_or_number(named), name=name, project=project_of(resource))


def _repository(resource: Object) -> Subject:
    return _subject(SubjectKind.REPOSITORY, repository_id(resource), repository_name(resource), resource)


def _pull_request(resource: Object) -> Subject:
    return _subject(SubjectKind.PULL_REQUEST, pull_request_number(resource), repository_name(resource), resource)


def _changeset(resource: Object) -> Subject:
    return _subject(SubjectKind.CHANGESET, get(resource, "changesetId"), "", resource)


def _build(resource: Object) -> Subject:
    return _subject(SubjectKind.BUILD, get(resource, "id"), text(get(resource, "buildNumber")), resource)


def _pipeline(resource: Object) -> Subject:
    found = pipeline_of(resource)
    return _subject(SubjectKind.PIPELINE, get(found, "id"), text(get(found, "name")), resource)


def _approval(resource: Object) -> Subject:
    """The pipeline, which documented samples leave out."""
    pipeline = _pipeline(resource)
    return pipeline if pipeline.id else _subject(SubjectKind.APPROVAL, get(inner(resource, "approval"), "id"), "", {})


def _release(resource: Object) -> Subject:
    found = release_of(resource)
    return _subject(SubjectKind.RELEASE, get(found, "id"), text(get(found, "name")), resource)


def _connection(resource: Object) -> Subject:
    return _subject(SubjectKind.SERVICE_CONNECTION, get(resource, "id"), text(get(resource, "name")), resource)


def _alert(resource: Object) -> Subject:
    return _subject(SubjectKind.ALERT, get(resource, "alertId"), repository_name(resource), resource)


_READERS: tuple[tuple[str, Callable[[Object], Subject]], ...] = (
    ("git.push", _repository),
    ("git.repo.", _repository),
    ("git.pullrequest.", _pull_request),
    (COMMENT, _pull_request),
    ("tfvc.checkin", _changeset),
    ("build.complete", _build),
    ("ms.vss-pipelines.", _pipeline),
    ("ms.vss-pipelinechecks-events.approval-", _approval),
    (RELEASE, _release),
    ("ms.vss-endpoint.", _connection),
    ("ms.vss-alerts.", _alert),
)
