"""A server that wants each stage to be a run of its own, and the runs that came of it."""

from temporalio.client import Client, WorkflowHistory

from tests.servers import UnsyncedServer

DYNAMIC_CONFIG = (
    "limit.historyCount.suggestContinueAsNew=1",
    'history.workflowIdReuseMinimalInterval="1ms"',  # else each run waits a second for the one before
)


class ImpatientServer(UnsyncedServer):
    """Suggests to continue as new from the first event on."""

    def command(self) -> list[str]:
        values = [part for value in DYNAMIC_CONFIG for part in ("--dynamic-config-value", value)]
        return [*super().command(), *values]


async def runs_of(client: Client, workflow_id: str) -> list[WorkflowHistory]:
    """The histories of the chain that runs now or ran last, first run first."""
    last = await client.get_workflow_handle(workflow_id).fetch_history()
    run_id = last.events[0].workflow_execution_started_event_attributes.first_execution_run_id
    found = []
    while run_id:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        found.append(history)
        run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found
