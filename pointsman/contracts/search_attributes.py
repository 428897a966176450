"""Names under which Temporal's visibility finds our workflows; each is a Keyword."""

from enum import StrEnum


class SearchAttribute(StrEnum):
    WORK_ITEM_STATE = "WorkItemState"
    WORK_ITEM_TYPE = "WorkItemType"
    PROJECT = "Project"
    TENANT = "Tenant"
    AGENT = "Agent"
    SEVERITY = "Severity"
    CORRELATION_ID = "CorrelationId"
