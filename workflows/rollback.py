"""Take back what was written to an item: find out what it comes to, then set it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.rollback import Rollbacks
from pointsman.contracts.rollback import RollbackRequest, RollbackResult
from pointsman.domain import rollback_story

HISTORY_TIME = timedelta(minutes=10)  # an item has up to 10,000 revisions, read by 200
HEARTBEAT = timedelta(seconds=10)
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=1))  # for as long as the service is away


@workflow.defn
class RollBackItem:
    """One run per request: `starter.rollback.start`."""

    @workflow.run
    async def run(self, ask: RollbackRequest) -> RollbackResult:
        found = await workflow.execute_activity_method(
            Rollbacks.plan,
            ask,
            start_to_close_timeout=HISTORY_TIME,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary=f"what it comes to for {ask.key}"[:150],
        )
        workflow.set_current_details(rollback_story.rollback(ask, found))
        if ask.dry_run or found.status != "would":
            return found
        done = await workflow.execute_activity_method(
            Rollbacks.write,
            ask,
            start_to_close_timeout=HISTORY_TIME,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary=f"{len(found.plan.back)} fields, {len(found.plan.links)} links of {ask.key}"[:150],
        )
        workflow.set_current_details(rollback_story.rollback(ask, done))
        return done
