"""What happens to anything but an item, as its subscribers hear of it: pushes, pull requests, builds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Organisation

FILTERS: dict[str, tuple[str, ...]] = {
    "git.push": ("repository", "branch", "pushedBy"),
    "git.pullrequest.created": ("repository", "branch", "pullrequestCreatedBy", "pullrequestReviewersContains"),
    "git.pullrequest.updated": (
        "repository",
        "branch",
        "pullrequestCreatedBy",
        "pullrequestReviewersContains",
        "notificationType",
    ),
    "git.pullrequest.merged": (
        "repository",
        "branch",
        "pullrequestCreatedBy",
        "pullrequestReviewersContains",
        "mergeResult",
    ),
    "ms.vss-code.git-pullrequest-comment-event": ("repository", "branch"),
    "git.repo.created": (),
    "git.repo.statuschanged": ("repository",),
    "build.complete": ("definitionName", "buildStatus"),
}
"""What a subscription to the event may filter by, beside its project."""
_NAMES = ("id", "pullRequestId", "pushId", "url")


@dataclass(frozen=True)
class Told:
    """One event. `marks` holds by filter the values that a subscription may ask for.

    `older` is the resource as old versions have it, where they tell it in other words.
    """

    event_type: str
    organisation: Organisation
    project: str
    resource: dict[str, Json]
    text: str
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    older: dict[str, Json] = field(default_factory=dict)

    def fits(self, organisation: Organisation, event_type: str, filters: Mapping[str, str]) -> bool:
        if (organisation.name, event_type) != (self.organisation.name, self.event_type):
            return False
        project = self.organisation.project(self.project)
        own = project.id_in(self.organisation.name) if project else ""
        wanted = {name: value.lower() for name, value in filters.items() if value}
        if wanted.pop("projectId", own) != own:
            return False
        return all(value in {mark.lower() for mark in self.marks.get(name, ())} for name, value in wanted.items())

    def shown(self, details: str, *, plain: bool) -> Json:
        """The resource in as much detail and as old a version as the subscription asks for."""
        resource = (self.older or self.resource) if plain else self.resource
        if details == "none":
            return None
        if details == "minimal":
            return {name: value for name, value in resource.items() if name in _NAMES}
        return resource

    @property
    def message(self) -> dict[str, str]:
        return {"text": self.text, "html": self.text, "markdown": self.text}
