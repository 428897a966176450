"""How events reach a run of an item: one by one, or several that waited together."""

from temporalio import workflow

from pointsman.contracts.lifecycle import DeliverRequest
from pointsman.contracts.work_items import WorkItemEvent, WorkItemEvents
from pointsman.domain import lifecycle
from workflows.showing import Showing


class Listening(Showing):
    """All that a run keeps, and the queue in it. Whoever looks at the queue takes all that is in it at once."""

    def __init__(self, request: DeliverRequest) -> None:
        self._request = request
        self._carry = request.carry

    def _keep(self, **changes: object) -> None:
        self._carry = self._carry.model_copy(update=changes)

    @workflow.signal
    def deliver(self, event: WorkItemEvent) -> None:
        """Take an event. Deliveries come at least once; a repeated one has no effect."""
        if event.idempotency_key not in self._carry.seen:
            seen = lifecycle.remember(self._carry.seen, event.idempotency_key)
            self._keep(seen=seen, queue=(*self._carry.queue, event))

    @workflow.signal
    def deliver_all(self, told: WorkItemEvents) -> None:
        """Take events that waited together, as if each had come alone."""
        for event in told.events:
            self.deliver(event)
