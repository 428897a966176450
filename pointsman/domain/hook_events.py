"""Events of service hooks that may be subscribed to: who publishes each, what it may be filtered by, in which version.

From Microsoft's list of events, and from the extensions that publish the others. A resource version that nobody has
documented is empty: the service then takes its newest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PROJECT = "projectId"
_ITEM = (PROJECT, "areaPath", "workItemType", "tag")
_REPOSITORY = (PROJECT, "repository", "branch")
_PULL_REQUEST = (*_REPOSITORY, "pullrequestCreatedBy", "pullrequestReviewersContains")
_RELEASE = (PROJECT, "releaseDefinitionId")
_DEPLOYMENT = (*_RELEASE, "releaseEnvironmentId")
_RUN = (PROJECT, "pipelineId")
_APPROVAL = (*_RUN, "stageNameId", "environmentId")
_ALERT = (PROJECT, "repository", "branch", "alertType", "alertSeverity", "alertState")


@dataclass(frozen=True)
class HookEvent:
    publisher: str
    filters: tuple[str, ...]
    resource_version: str = "1.0"


WORK_ITEMS: Mapping[str, HookEvent] = {
    "workitem.created": HookEvent("tfs", _ITEM),
    "workitem.updated": HookEvent("tfs", (*_ITEM, "changedFields", "linksChanged")),
    "workitem.commented": HookEvent("tfs", (*_ITEM, "commentPattern")),
    "workitem.deleted": HookEvent("tfs", _ITEM),
    "workitem.restored": HookEvent("tfs", _ITEM),
}
_PIPELINES = "5.1-preview.1"
_RELEASES = "3.0-preview.1"
KNOWN: Mapping[str, HookEvent] = {
    **WORK_ITEMS,
    "git.push": HookEvent("tfs", (*_REPOSITORY, "pushedBy")),
    "git.pullrequest.created": HookEvent("tfs", _PULL_REQUEST),
    "git.pullrequest.updated": HookEvent("tfs", (*_PULL_REQUEST, "notificationType")),
    "git.pullrequest.merged": HookEvent("tfs", (*_PULL_REQUEST, "mergeResult")),
    "ms.vss-code.git-pullrequest-comment-event": HookEvent("tfs", _REPOSITORY, ""),
    "git.repo.created": HookEvent("tfs", (PROJECT,), ""),
    "git.repo.deleted": HookEvent("tfs", (PROJECT, "repository"), ""),
    "git.repo.forked": HookEvent("tfs", (PROJECT, "repository"), ""),
    "git.repo.renamed": HookEvent("tfs", (PROJECT, "repository"), ""),
    "git.repo.statuschanged": HookEvent("tfs", (PROJECT, "repository"), ""),
    "tfvc.checkin": HookEvent("tfs", (PROJECT, "path")),
    "build.complete": HookEvent("tfs", (PROJECT, "definitionName", "buildStatus")),
    "ms.vss-endpoint.endpoint-created": HookEvent("tfs", (PROJECT,), ""),
    "ms.vss-endpoint.endpoint-updated": HookEvent("tfs", (PROJECT,), ""),
    "ms.vss-pipelines.run-state-changed-event": HookEvent(
        "pipelines", (*_RUN, "runStateId", "runResultId"), _PIPELINES
    ),
    "ms.vss-pipelines.stage-state-changed-event": HookEvent(
        "pipelines", (*_RUN, "stageNameId", "stageStateId", "stageResultId"), _PIPELINES
    ),
    "ms.vss-pipelines.job-state-changed-event": HookEvent(
        "pipelines", (*_RUN, "stageNameId", "jobNameId", "jobStateId", "jobResultId"), _PIPELINES
    ),
    "ms.vss-pipelinechecks-events.approval-pending": HookEvent("pipelines", _APPROVAL, _PIPELINES),
    "ms.vss-pipelinechecks-events.approval-completed": HookEvent("pipelines", _APPROVAL, _PIPELINES),
    "ms.vss-release.release-created-event": HookEvent("rm", _RELEASE, _RELEASES),
    "ms.vss-release.release-abandoned-event": HookEvent("rm", _RELEASE, _RELEASES),
    "ms.vss-release.deployment-started-event": HookEvent("rm", _DEPLOYMENT, _RELEASES),
    "ms.vss-release.deployment-completed-event": HookEvent("rm", (*_DEPLOYMENT, "releaseEnvironmentStatus"), _RELEASES),
    "ms.vss-release.deployment-approval-pending-event": HookEvent(
        "rm", (*_DEPLOYMENT, "releaseApprovalType"), _RELEASES
    ),
    "ms.vss-release.deployment-approval-completed-event": HookEvent(
        "rm", (*_DEPLOYMENT, "releaseApprovalType", "releaseApprovalStatus"), _RELEASES
    ),
    "ms.vss-alerts.alert-created-event": HookEvent("advancedsecurity", _ALERT, ""),
    "ms.vss-alerts.alert-state-changed-event": HookEvent("advancedsecurity", _ALERT, ""),
    "ms.vss-alerts.alert-updated-event": HookEvent("advancedsecurity", _ALERT, ""),
}


def publisher_of(event_type: str) -> str:
    return KNOWN[event_type].publisher


def beside(event_types: frozenset[str]) -> tuple[str, ...]:
    """Events to look at for these to be kept in order: all of their publishers, and all of work items.

    Of other publishers nothing is asked: an organisation without the extension would refuse, and a list that is
    refused ends everything.
    """
    publishers = {"tfs", *(publisher_of(event) for event in event_types)}
    return tuple(event for event, known in KNOWN.items() if known.publisher in publishers)
