"""What a service hook of Azure DevOps tells, one class for each type of event. All but the envelope may be empty.

The class says what happened; `subject` says to what; `repository` is the one that it concerns, where there is one.
"""

from datetime import datetime

from pydantic import Field

from pointsman.contracts.base import Json
from pointsman.contracts.subjects import Subject, Told


class Envelope(Told):
    """What every delivery has in common."""

    event_type: str = ""
    event_id: str = ""
    publisher: str = ""
    subscription_id: str = ""
    notification_id: int = 0
    resource_version: str = ""
    created_at: datetime | None = None
    organisation: str = ""
    project_id: str = ""
    text: str = ""
    """The service's one-line message."""
    is_test: bool = False
    """Somebody pressed Test: what it tells of is invented."""


class Repository(Told):
    id: str = ""
    name: str = ""
    project: str = ""
    url: str = ""
    """Where a browser or git finds it."""


class Person(Told):
    id: str = ""
    display_name: str = ""
    unique_name: str = ""
    """Mail address or account name."""


class Event(Told):
    envelope: Envelope = Envelope()
    subject: Subject | None = None
    repository: Repository | None = None
    actor: Person = Person()


class UnknownEvent(Event):
    """Of a type that we do not know, or no event at all."""

    resource: Json = None
    reason: str = ""


class OpaqueEvent(Event):
    """Of a type that we know by name only: its resource is as it came."""

    resource: Json = None


# Work items


class FieldChange(Told):
    old: Json = None
    new: Json = None


class Link(Told):
    rel: str = ""
    url: str = ""


class WorkItemTold(Event):
    item_id: int = Field(default=0, ge=0)
    rev: int = 0
    fields: dict[str, Json] = Field(default_factory=dict)
    """Reference name to value after the event, as far as the delivery tells."""
    comment: str = ""
    """HTML."""
    comment_id: int = 0
    comment_version: int = 0
    """2 and above for an edited comment."""
    links: tuple[Link, ...] = ()
    """All that the item has, where the delivery brings it as a whole with them."""


class WorkItemCreated(WorkItemTold): ...


class WorkItemUpdated(WorkItemTold):
    update_id: int = 0
    """Of the item's history; nothing else names a change of links."""
    changed: dict[str, FieldChange] = Field(default_factory=dict)
    """Without fields that move with every save."""
    links_added: tuple[Link, ...] = ()
    links_removed: tuple[Link, ...] = ()
    links_updated: tuple[Link, ...] = ()


class WorkItemCommented(WorkItemTold): ...


class WorkItemDeleted(WorkItemTold): ...


class WorkItemRestored(WorkItemTold): ...


# Code


class Commit(Told):
    id: str = ""
    author: str = ""
    """Mail address, or the name where there is none."""
    comment: str = ""


class RefUpdate(Told):
    """Object ids of 40 zeros stand for a ref that is not there."""

    name: str = ""
    old: str = ""
    new: str = ""


class CodePushed(Event):
    push_id: int = 0
    refs: tuple[RefUpdate, ...] = ()
    commits: tuple[Commit, ...] = ()


class PullRequestTold(Event):
    number: int = 0
    title: str = ""
    description: str = ""
    """Markdown."""
    status: str = ""
    """active | abandoned | completed"""
    source: str = ""
    target: str = ""
    merge_status: str = ""
    source_commit: str = ""
    merge_commit: str = ""


class PullRequestCreated(PullRequestTold): ...


class PullRequestUpdated(PullRequestTold): ...


class PullRequestMergeAttempted(PullRequestTold):
    """The service calls it merged, and sends it for a merge that failed too."""

    succeeded: bool = False


class PullRequestCommented(PullRequestTold):
    thread_id: int = 0
    comment_id: int = 0
    parent_comment_id: int = 0
    content: str = ""
    """Markdown."""
    is_deleted: bool = False


class RepositoryCreated(Event): ...


class RepositoryDeleted(Event):
    is_final: bool = False
    """It is not in the recycle bin."""


class RepositoryForked(Event):
    fork: Repository = Repository()


class RepositoryRenamed(Event):
    old_name: str = ""
    new_name: str = ""


class RepositoryStatusChanged(Event):
    is_disabled: bool = False


class ChangesetCheckedIn(Event):
    changeset: int = 0
    comment: str = ""


# Builds, pipelines, releases


class BuildCompleted(Event):
    build_id: int = 0
    number: str = ""
    result: str = ""
    """succeeded | partiallySucceeded | failed | canceled, or what an old build service says."""
    reason: str = ""
    definition_id: int = 0
    definition: str = ""
    branch: str = ""
    commit: str = ""
    message: str = ""
    """Of the commit that set it off, where it was set off by one."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class RunTold(Event):
    pipeline_id: int = 0
    pipeline: str = ""
    run_id: int = 0
    run: str = ""


class RunStateChanged(RunTold):
    state: str = ""
    result: str = ""


class StageStateChanged(RunTold):
    stage: str = ""
    state: str = ""
    result: str = ""


class JobStateChanged(RunTold):
    stage: str = ""
    job: str = ""
    state: str = ""
    result: str = ""


class ApprovalStep(Told):
    approver: Person = Person()
    status: str = ""
    comment: str = ""


class ApprovalTold(RunTold):
    approval_id: str = ""
    status: str = ""
    stage: str = ""
    instructions: str = ""
    approvers_min: int = 0
    steps: tuple[ApprovalStep, ...] = ()


class ApprovalPending(ApprovalTold): ...


class ApprovalCompleted(ApprovalTold): ...


class ReleaseTold(Event):
    release_id: str = ""
    release: str = ""
    definition: str = ""
    status: str = ""
    """Of the release, of its deployment, or of the approval: of what the event is about."""


class ReleaseCreated(ReleaseTold): ...


class ReleaseAbandoned(ReleaseTold): ...


class DeploymentTold(ReleaseTold):
    environment: str = ""


class DeploymentStarted(DeploymentTold): ...


class DeploymentCompleted(DeploymentTold): ...


class DeploymentApprovalTold(DeploymentTold):
    approval_id: str = ""
    approval_type: str = ""
    """preDeploy | postDeploy"""
    comment: str = ""


class DeploymentApprovalPending(DeploymentApprovalTold): ...


class DeploymentApprovalCompleted(DeploymentApprovalTold): ...


# Service connections and security


class ServiceConnectionTold(Event):
    connection_id: str = ""
    name: str = ""
    type: str = ""


class ServiceConnectionCreated(ServiceConnectionTold): ...


class ServiceConnectionUpdated(ServiceConnectionTold): ...


class AlertTold(Event):
    alert_id: int = 0
    title: str = ""
    severity: str = ""
    alert_type: str = ""
    """code | secret | dependency"""
    state: str = ""
    ref: str = ""


class AlertCreated(AlertTold): ...


class AlertStateChanged(AlertTold): ...


class AlertUpdated(AlertTold): ...
