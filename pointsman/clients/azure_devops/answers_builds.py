"""What Azure DevOps answers about builds, pipelines and approvals, reduced to what we read."""

from datetime import datetime

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer
from pointsman.contracts.base import Json


class BuildRepository(Answer):
    id: str = ""
    name: str = ""
    type: str = ""


class Definition(Answer):
    """A pipeline, as builds know it. `repository` is told of a single one only."""

    id: int
    name: str = ""
    path: str = ""
    revision: int = 0
    queue_status: str = ""
    repository: BuildRepository | None = None


class Build(Answer):
    """`result` is empty as long as `status` is not `completed`; only then does it say anything."""

    id: int
    build_number: str = ""
    status: str = ""
    result: str = ""
    reason: str = ""
    definition: Definition | None = None
    source_branch: str = ""
    source_version: str = ""
    repository: BuildRepository | None = None
    requested_for: dict[str, Json] | str = ""
    queue_time: datetime | None = None
    start_time: datetime | None = None
    finish_time: datetime | None = None
    uri: str = ""
    url: str = ""
    tags: list[str] = Field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.status == "completed"

    @property
    def succeeded(self) -> bool:
        """Done without a fault; `partiallySucceeded` is not."""
        return self.is_done and self.result == "succeeded"


class Pipeline(Answer):
    id: int
    name: str = ""
    folder: str = ""
    revision: int = 0


class Run(Answer):
    """The same as the build of its id, in other words: `state` for status, no partial success."""

    id: int
    name: str = ""
    state: str = ""
    result: str = ""
    pipeline: Pipeline | None = None
    created_date: datetime | None = None
    finished_date: datetime | None = None


class ApprovalStep(Answer):
    """One approver's part. `actual_approver` is who decided, of a group for instance."""

    assigned_approver: dict[str, Json] | str = ""
    actual_approver: dict[str, Json] | str = ""
    status: str = ""
    comment: str = ""
    order: int = 0
    last_modified_on: datetime | None = None


class Approval(Answer):
    """What a stage of a pipeline waits for. `steps` are told where they are asked for."""

    id: str
    status: str = ""
    instructions: str = ""
    min_required_approvers: int = 0
    created_on: datetime | None = None
    last_modified_on: datetime | None = None
    steps: list[ApprovalStep] = Field(default_factory=list)

    @property
    def is_pending(self) -> bool:
        return self.status in ("pending", "uninitiated")
