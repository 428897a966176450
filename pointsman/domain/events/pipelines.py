"""Events of builds, pipelines, approvals, classic releases, service connections and security alerts."""

import re
from functools import partial
from typing import Any

from pointsman.contracts.events import (
    AlertCreated,
    AlertStateChanged,
    AlertTold,
    AlertUpdated,
    ApprovalCompleted,
    ApprovalPending,
    ApprovalStep,
    ApprovalTold,
    BuildCompleted,
    DeploymentApprovalCompleted,
    DeploymentApprovalPending,
    DeploymentApprovalTold,
    DeploymentCompleted,
    DeploymentStarted,
    DeploymentTold,
    Event,
    JobStateChanged,
    ReleaseAbandoned,
    ReleaseCreated,
    ReleaseTold,
    RunStateChanged,
    ServiceConnectionCreated,
    ServiceConnectionTold,
    ServiceConnectionUpdated,
    StageStateChanged,
)
from pointsman.domain.events.parts import Head, Reader, person
from pointsman.domain.events.subjects import RELEASE, pipeline_of, release_of
from pointsman.domain.loose import ID_CHARS, Object, each, get, inner, moment, name_or_number, string, text, whole
from pointsman.domain.texts import clean

# How an old build service names what it built: `LG:refs/heads/main:600c52d2...`.
SOURCE = re.compile(r"(?:LG|LW|G):(?P<branch>refs/.+):(?P<commit>[0-9a-f]{40})$", re.IGNORECASE)
FINISHED = "completed"


def built(told: Head, resource: Object) -> Event:
    """An old build service tells the result as the status."""
    definition = inner(resource, "definition")
    status = text(get(resource, "status"))
    source = SOURCE.match(text(get(resource, "sourceGetVersion")))
    requests = [get(one, "requestedFor") for one in each(get(resource, "requests"))]
    return BuildCompleted(
        **told._asdict(),
        actor=person(get(resource, "requestedFor"), *requests, get(resource, "lastChangedBy")),
        build_id=whole(get(resource, "id")),
        number=text(get(resource, "buildNumber")),
        result=text(get(resource, "result")) or ("" if status.casefold() == FINISHED else status),
        reason=text(get(resource, "reason")),
        definition_id=whole(get(definition, "id")),
        definition=text(get(definition, "name")),
        branch=text(get(resource, "sourceBranch")) or (source["branch"] if source else ""),
        commit=text(get(resource, "sourceVersion"), ID_CHARS) or (source["commit"] if source else ""),
        message=clean(string(get(inner(resource, "triggerInfo"), "ci.message"))),
        started_at=moment(get(resource, "startTime")),
        finished_at=moment(get(resource, "finishTime")),
    )


def _run(resource: Object) -> dict[str, Any]:
    run, pipeline = inner(resource, "run"), pipeline_of(resource)
    return {
        "pipeline_id": whole(get(pipeline, "id")),
        "pipeline": text(get(pipeline, "name")),
        "run_id": whole(get(run, "id")) or whole(get(resource, "runId")),
        "run": text(get(run, "name")),
    }


def _stood(told: Object) -> dict[str, Any]:
    return {"state": text(get(told, "state")), "result": text(get(told, "result"))}


def run_changed(told: Head, resource: Object) -> Event:
    return RunStateChanged(**told._asdict(), **_run(resource), **_stood(inner(resource, "run")))


def stage_changed(told: Head, resource: Object) -> Event:
    stage = inner(resource, "stage")
    return StageStateChanged(**told._asdict(), **_run(resource), stage=_stage(resource), **_stood(stage))


def job_changed(told: Head, resource: Object) -> Event:
    job = inner(resource, "job")
    names: dict[str, Any] = {"stage": _stage(resource), "job": text(get(job, "name"))}
    return JobStateChanged(**told._asdict(), **_run(resource), **names, **_stood(job))


def _stage(resource: Object) -> str:
    return text(get(inner(resource, "stage"), "name")) or text(get(resource, "stageName"))


def approval(kind: type[ApprovalTold], told: Head, resource: Object) -> Event:
    found = inner(resource, "approval")
    steps = tuple(_step(one) for one in each(get(found, "steps")))
    return kind(
        **told._asdict(),
        **_run(resource),
        approval_id=name_or_number(get(found, "id")),
        status=text(get(found, "status")),
        stage=_stage(resource),
        instructions=clean(string(get(found, "instructions"))),
        approvers_min=whole(get(found, "minRequiredApprovers")),
        steps=steps,
    )


def _step(told: Object) -> ApprovalStep:
    """Who acted counts before who was asked: a member acts for a group."""
    approver = person(get(told, "actualApprover"), get(told, "assignedApprover"))
    return ApprovalStep(
        approver=approver, status=text(get(told, "status")), comment=clean(string(get(told, "comment")))
    )


def _release(resource: Object) -> dict[str, Any]:
    release = release_of(resource)
    definition = (
        inner(release, "releaseDefinition")
        or inner(resource, "release", "releaseDefinition")
        or inner(resource, "approval", "releaseDefinition")
    )
    return {
        "release_id": name_or_number(get(release, "id")),
        "release": text(get(release, "name")),
        "definition": text(get(definition, "name")),
    }


def released(kind: type[ReleaseTold], told: Head, resource: Object) -> Event:
    release = inner(resource, "release")
    actor = person(get(release, "createdBy") if kind is ReleaseCreated else get(release, "modifiedBy"))
    return kind(**told._asdict(), actor=actor, **_release(resource), status=text(get(release, "status")))


def _environment(resource: Object) -> Object:
    places = (("environment",), ("deployment", "environment"), ("approval", "releaseEnvironment"))
    return next((found for path in places if (found := inner(resource, *path))), {})


def deployed(kind: type[DeploymentTold], told: Head, resource: Object) -> Event:
    """Told by the environment, or in newer samples by the deployment."""
    environment, deployment = _environment(resource), inner(resource, "deployment")
    statuses = (get(deployment, "deploymentStatus"), get(deployment, "status"), get(environment, "status"))
    status = next((found for one in statuses if (found := text(one))), "")
    named = text(get(environment, "name"))
    return kind(**told._asdict(), **_release(resource), environment=named, status=status)


def deployment_approval(kind: type[DeploymentApprovalTold], told: Head, resource: Object) -> Event:
    found = inner(resource, "approval")
    return kind(
        **told._asdict(),
        actor=person(get(found, "approvedBy"), get(found, "approver")),
        **_release(resource),
        environment=text(get(_environment(resource), "name")),
        status=text(get(found, "status")),
        approval_id=name_or_number(get(found, "id")),
        approval_type=text(get(found, "approvalType")),
        comment=clean(string(get(found, "comments"))),
    )


def connection(kind: type[ServiceConnectionTold], told: Head, resource: Object) -> Event:
    return kind(
        **told._asdict(),
        actor=person(get(resource, "createdBy")),
        connection_id=name_or_number(get(resource, "id")),
        name=text(get(resource, "name")),
        type=text(get(resource, "type")),
    )


def alert(kind: type[AlertTold], told: Head, resource: Object) -> Event:
    return kind(
        **told._asdict(),
        actor=person(get(inner(resource, "dismissal"), "stateChangedByIdentity")),
        alert_id=whole(get(resource, "alertId")),
        title=text(get(resource, "title")),
        severity=text(get(resource, "severity")),
        alert_type=text(get(resource, "alertType")),
        state=text(get(resource, "state")),
        ref=text(get(resource, "gitRef")),
    )


READERS: dict[str, Reader] = {
    "build.complete": built,
    "ms.vss-pipelines.run-state-changed-event": run_changed,
    "ms.vss-pipelines.stage-state-changed-event": stage_changed,
    "ms.vss-pipelines.job-state-changed-event": job_changed,
    "ms.vss-pipelinechecks-events.approval-pending": partial(approval, ApprovalPending),
    "ms.vss-pipelinechecks-events.approval-completed": partial(approval, ApprovalCompleted),
    f"{RELEASE}release-created-event": partial(released, ReleaseCreated),
    f"{RELEASE}release-abandoned-event": partial(released, ReleaseAbandoned),
    f"{RELEASE}deployment-started-event": partial(deployed, DeploymentStarted),
    f"{RELEASE}deployment-completed-event": partial(deployed, DeploymentCompleted),
    f"{RELEASE}deployment-approval-pending-event": partial(deployment_approval, DeploymentApprovalPending),
    f"{RELEASE}deployment-approval-completed-event": partial(deployment_approval, DeploymentApprovalCompleted),
    "ms.vss-endpoint.endpoint-created": partial(connection, ServiceConnectionCreated),
    "ms.vss-endpoint.endpoint-updated": partial(connection, ServiceConnectionUpdated),
    "ms.vss-alerts.alert-created-event": partial(alert, AlertCreated),
    "ms.vss-alerts.alert-state-changed-event": partial(alert, AlertStateChanged),
    "ms.vss-alerts.alert-updated-event": partial(alert, AlertUpdated),
}
