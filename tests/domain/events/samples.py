"""Small deliveries of our own making, one for each type of event, in the shapes that the service sends."""

from pointsman.contracts.base import Json

BASE = "https://dev.azure.com/Harbour"
REPOSITORY_ID = "5a5a5a5a-1111-4222-8333-444455556666"
PROJECT: dict[str, Json] = {"id": "0f1c2d3e-1111-4222-8333-444455556666", "name": "Quay"}
ADA: dict[str, Json] = {"id": "ada-1", "displayName": "Ada Holm", "uniqueName": "ada@harbour.example"}
REPOSITORY: dict[str, Json] = {
    "id": REPOSITORY_ID,
    "name": "cranes",
    "url": f"{BASE}/_apis/git/repositories/{REPOSITORY_ID}",
    "project": PROJECT,
    "defaultBranch": "refs/heads/main",
    "remoteUrl": "https://harbour@dev.azure.com/Harbour/Quay/_git/cranes",
}
PULL_REQUEST: dict[str, Json] = {
    "repository": REPOSITORY,
    "pullRequestId": 17,
    "status": "active",
    "createdBy": ADA,
    "title": "Oil the crane",
    "sourceRefName": "refs/heads/oil",
    "targetRefName": "refs/heads/main",
    "mergeStatus": "conflicts",
    "lastMergeSourceCommit": {"commitId": "a" * 40},
    "lastMergeCommit": None,
    "url": f"{BASE}/_apis/git/repositories/{REPOSITORY_ID}/pullRequests/17",
}
COMMENT: dict[str, Json] = {
    "id": 2,
    "parentCommentId": 1,
    "author": ADA,
    "content": "More *oil*.\nPlease.",
    "_links": {
        "self": {
            "href": f"{BASE}/_apis/git/repositories/{REPOSITORY_ID}/pullRequests/17/threads/5/comments/2",
        }
    },
}
PIPELINE: dict[str, Json] = {"id": 4, "revision": 1, "name": "crane-ci", "folder": "\\"}
RUN: dict[str, Json] = {"id": 90, "name": "20260301.2", "state": "completed", "result": "failed", "pipeline": PIPELINE}
RUN_RESOURCES: list[Json] = [
    {"type": "Git", "url": "https://token@dev.azure.com/Harbour/Quay/_git/cranes"},
    {"type": "GitHub", "url": "https://api.example.com/repos/harbour/quay"},
]
APPROVAL: dict[str, Json] = {
    "approval": {
        "id": "9c9c9c9c-1111-4222-8333-444455556666",
        "status": "approved",
        "instructions": "Look at the oil.",
        "minRequiredApprovers": 1,
        "steps": [
            {"assignedApprover": {"displayName": "Foremen", "id": "f-1"}, "actualApprover": ADA, "status": "approved"}
        ],
    },
    "projectId": "00000000-0000-0000-0000-000000000000",
    "pipeline": None,
    "run": None,
    "id": 0,
    "stageName": "Deploy",
}
RELEASE: dict[str, Json] = {
    "id": 31,
    "name": "Release-31",
    "status": "active",
    "createdBy": ADA,
    "modifiedBy": {"displayName": "Bo Lind", "id": "bo-1"},
    "releaseDefinition": {"id": 1, "name": "crane-cd"},
}
DEPLOYED: dict[str, Json] = {
    "environment": {"id": 5, "name": "Pier 1", "status": "succeeded", "release": {"id": 31, "name": "Release-31"}},
    "release": {"id": 0, "name": None, "status": "undefined", "releaseDefinition": {"id": 1, "name": "crane-cd"}},
    "project": PROJECT,
}
RELEASE_APPROVAL: dict[str, Json] = {
    "approval": {
        "id": 8,
        "approvalType": "preDeploy",
        "status": "pending",
        "approver": ADA,
        "release": {"id": 31, "name": "Release-31"},
        "releaseDefinition": {"id": 1, "name": "crane-cd"},
        "releaseEnvironment": {"id": 5, "name": "Pier 1"},
    },
    "project": PROJECT,
}
ALERT: dict[str, Json] = {
    "alertId": 6,
    "severity": "critical",
    "title": "Password in a file",
    "repositoryUrl": f"{BASE}/Quay/_git/cranes",
    "gitRef": "refs/heads/main",
    "alertType": "secret",
    "state": "active",
    "dismissal": None,
}
BUILD: dict[str, Json] = {
    "id": 90,
    "buildNumber": "20260301.2",
    "status": "completed",
    "result": "partiallySucceeded",
    "reason": "pullRequest",
    "definition": {"id": 4, "name": "crane-ci", "project": PROJECT},
    "sourceBranch": "refs/pull/17/merge",
    "sourceVersion": "b" * 40,
    "requestedFor": ADA,
    "startTime": "2026-03-01T12:00:00.1234567Z",
    "finishTime": "2026-03-01T12:03:00Z",
    "repository": {"id": REPOSITORY_ID, "type": "TfsGit", "name": "cranes", "url": f"{BASE}/Quay/_git/cranes"},
}
CHANGED_REPOSITORY: dict[str, Json] = {"repository": REPOSITORY, "initiatedBy": ADA}
CONNECTION: dict[str, Json] = {"id": "e-1", "name": "registry", "type": "Generic", "authorization": None}
FIELDS: dict[str, Json] = {
    "System.TeamProject": "Quay",
    "System.AreaPath": "Quay",
    "System.WorkItemType": "Bug",
    "System.Title": "Crane stops",
    "System.ChangedBy": "Ada Holm <ada@harbour.example>",
}
ITEM: dict[str, Json] = {"id": 41, "rev": 3, "fields": FIELDS, "url": f"{BASE}/_apis/wit/workItems/41"}
UPDATE: dict[str, Json] = {
    "id": 7,
    "workItemId": 41,
    "rev": 4,
    "revisedBy": ADA,
    "fields": {"System.State": {"oldValue": "New", "newValue": "Active"}},
    "relations": {"added": [{"rel": "System.LinkTypes.Hierarchy-Reverse", "url": f"{BASE}/_apis/wit/workItems/2"}]},
    "revision": {"id": 41, "rev": 4, "fields": FIELDS},
    "url": f"{BASE}/_apis/wit/workItems/41/updates/7",
}

RESOURCES: dict[str, dict[str, Json]] = {
    "workitem.created": ITEM,
    "workitem.updated": UPDATE,
    "workitem.commented": {**ITEM, "commentVersionRef": {"commentId": 12, "version": 1}},
    "workitem.deleted": {**ITEM, "url": f"{BASE}/_apis/wit/recyclebin/41"},
    "workitem.restored": ITEM,
    "git.push": {
        "commits": [
            {"commitId": "c" * 40, "author": {"name": "Ada", "email": "ada@harbour.example"}, "comment": "Oil #41"},
            {"commitId": "d" * 40, "author": {"name": "Bo"}},
        ],
        "refUpdates": [{"name": "refs/heads/main", "oldObjectId": "0" * 40, "newObjectId": "d" * 40}],
        "repository": REPOSITORY,
        "pushedBy": ADA,
        "pushId": 14,
    },
    "git.pullrequest.created": PULL_REQUEST,
    "git.pullrequest.updated": PULL_REQUEST,
    "git.pullrequest.merged": PULL_REQUEST,
    "ms.vss-code.git-pullrequest-comment-event": {"comment": COMMENT, "pullRequest": PULL_REQUEST},
    "git.repo.created": CHANGED_REPOSITORY,
    "git.repo.deleted": {
        "project": PROJECT,
        "repositoryId": REPOSITORY_ID,
        "repositoryName": "cranes",
        "isHardDelete": True,
        "initiatedBy": ADA,
    },
    "git.repo.forked": {
        "sourceRepository": REPOSITORY,
        "targetRepository": {**REPOSITORY, "id": "fork-1", "name": "our-cranes"},
        "initiatedBy": ADA,
    },
    "git.repo.renamed": {**CHANGED_REPOSITORY, "oldName": "crane", "newName": "cranes"},
    "git.repo.statuschanged": {**CHANGED_REPOSITORY, "disabled": True},
    "tfvc.checkin": {
        "changesetId": 18,
        "url": f"{BASE}/_apis/tfvc/changesets/18",
        "author": ADA,
        "checkedInBy": ADA,
        "comment": "Oil",
    },
    "build.complete": BUILD,
    "ms.vss-pipelines.run-state-changed-event": {"run": RUN, "pipeline": PIPELINE, "repositories": RUN_RESOURCES},
    "ms.vss-pipelines.stage-state-changed-event": {
        "stage": {"name": "Deploy", "state": "completed", "result": "failed"},
        "run": RUN,
        "repositories": RUN_RESOURCES,
    },
    "ms.vss-pipelines.job-state-changed-event": {
        "job": {"name": "lift", "state": "running", "result": None},
        "stage": {"name": "Deploy", "state": "running"},
        "run": RUN,
        "pipeline": PIPELINE,
    },
    "ms.vss-pipelinechecks-events.approval-pending": APPROVAL,
    "ms.vss-pipelinechecks-events.approval-completed": {**APPROVAL, "pipeline": PIPELINE, "run": RUN},
    "ms.vss-release.release-created-event": {"release": RELEASE, "project": PROJECT},
    "ms.vss-release.release-abandoned-event": {"release": {**RELEASE, "status": "abandoned"}, "project": PROJECT},
    "ms.vss-release.deployment-started-event": DEPLOYED,
    "ms.vss-release.deployment-completed-event": {
        "deployment": {"id": 1, "status": "failed", "release": RELEASE, "environment": {"id": 5, "name": "Pier 1"}}
    },
    "ms.vss-release.deployment-approval-pending-event": RELEASE_APPROVAL,
    "ms.vss-release.deployment-approval-completed-event": {**RELEASE_APPROVAL, "release": RELEASE},
    "ms.vss-endpoint.endpoint-created": CONNECTION,
    "ms.vss-endpoint.endpoint-updated": CONNECTION,
    "ms.vss-alerts.alert-created-event": ALERT,
    "ms.vss-alerts.alert-state-changed-event": {**ALERT, "state": "fixed"},
    "ms.vss-alerts.alert-updated-event": ALERT,
}


def delivery(event_type: str, resource: Json, **more: Json) -> dict[str, Json]:
    return {
        "subscriptionId": "7d1f0c55-2222-4333-8444-555566667777",
        "notificationId": 12,
        "id": "c0ffee00-3333-4444-8555-666677778888",
        "eventType": event_type,
        "publisherId": "tfs",
        "message": {"text": "Something happened", "html": "<b>Something</b> happened"},
        "detailedMessage": None,
        "resource": resource,
        "resourceVersion": "1.0",
        "resourceContainers": {
            "collection": {"id": "1", "baseUrl": f"{BASE}/"},
            "project": {"id": "0f1c2d3e-1111-4222-8333-444455556666", "baseUrl": f"{BASE}/"},
        },
        "createdDate": "2026-03-01T12:00:00.1234567Z",
        **more,
    }


def known(event_type: str, **more: Json) -> dict[str, Json]:
    return delivery(event_type, RESOURCES[event_type], **more)
