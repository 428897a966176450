"""What would become of deliveries that are replayed: decided by the code that the dispatcher asks, so that a dry run
and what then happens are the same as long as nobody else changes the books.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.contracts.records import Delivery
from pointsman.ports import Inbox
from starter.judging import Decision, Judge, Supposed


@dataclass(frozen=True)
class Planned:
    delivery: Delivery
    decision: Decision


async def plan(inbox: Inbox, judge: Judge, deliveries: Sequence[Delivery], by: str) -> list[Planned]:
    """What a replay of these would come to, in order of arrival. Changes nothing."""
    supposed, planned = Supposed(), []
    for delivery in in_order(deliveries):
        decision = await judge.decide(delivery.model_copy(update={"replayed_by": by}), supposed)
        if decision.hand_over is not None and not decision.hand_over.only_checked:
            key = decision.hand_over.event.key
            supposed.workflows.setdefault((key.organisation, key.id), decision.workflow_id)
            supposed.effects.setdefault(await inbox.first_of(delivery.id), delivery.id)
        planned.append(Planned(delivery, decision))
    return planned


def in_order(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Each once, in order of arrival."""
    return sorted({delivery.id: delivery for delivery in deliveries}.values(), key=lambda one: one.sequence)
