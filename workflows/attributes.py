"""Search attributes of our workflows, so that Temporal's own lists answer who, what and where."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.search_attributes import SearchAttribute


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
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items() if value
    ]
    return TypedSearchAttributes(pairs)
