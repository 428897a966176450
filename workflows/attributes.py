"""Search attributes of our workflows, so that Temporal's own lists answer who, what and where; and what goes first."""

from collections.abc import Mapping

from temporalio import workflow
from temporalio.common import Priority, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.search_attributes import SearchAttribute
from pointsman.contracts.violations import ProcessViolation

ITEMS_FIRST = 2
"""Where tasks wait for a worker, an item that came in is taken up before turns and questions of others go on."""
AFTER_ITEMS = Priority(priority_key=3)


def show(carry: Carry) -> None:
    """Upsert what changes in an item's life: one event, and none where nothing changed."""
    wanted = {
        SearchAttribute.PROJECT: carry.facts.key.project if carry.facts else "",
        SearchAttribute.WORK_ITEM_STATE: carry.state or "",
        SearchAttribute.WORK_ITEM_TYPE: carry.facts.type if carry.facts else "",
        SearchAttribute.AGENT: carry.agent,
    }
    shown = workflow.info().typed_search_attributes
    keys = {name: SearchAttributeKey.for_keyword(name) for name in wanted}
    changed = [
        keys[name].value_set(value) for name, value in wanted.items() if value and shown.get(keys[name]) != value
    ]
    if changed:
        workflow.upsert_search_attributes(changed)


def of_child(request: DeliverRequest, carry: Carry, severity: str = "") -> TypedSearchAttributes:
    """What a child shows from its start on."""
    values = {
        SearchAttribute.PROJECT: request.key.project,
        SearchAttribute.TENANT: request.tenant,
        SearchAttribute.CORRELATION_ID: request.correlation_id,
        SearchAttribute.WORK_ITEM_TYPE: carry.facts.type if carry.facts else "",
        SearchAttribute.AGENT: carry.agent,
        SearchAttribute.SEVERITY: severity,
    }
    return typed(values)


def of_violation(violation: ProcessViolation, severity: str) -> TypedSearchAttributes:
    """What a question about a violation shows from its start on. It has the severity of the question."""
    return typed(
        {
            SearchAttribute.PROJECT: violation.key.project,
            SearchAttribute.TENANT: violation.tenant,
            SearchAttribute.SEVERITY: severity,
        }
    )


def of_place(tenant: str, project: str) -> TypedSearchAttributes:
    """What a run for a whole project or organisation shows from its start on; of an organisation, no project."""
    return typed({SearchAttribute.TENANT: tenant, SearchAttribute.PROJECT: project})


def typed(values: Mapping[SearchAttribute, str]) -> TypedSearchAttributes:
    """Those that have a value."""
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items() if value
    ]
    return TypedSearchAttributes(pairs)
