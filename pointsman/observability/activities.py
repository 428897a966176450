"""Log lines and spans of activities carry whose work they do: workflow, attempt, and the chain that the input names."""

from collections.abc import Iterator

import structlog
from opentelemetry import trace
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from pointsman.observability import names, traces
from pointsman.observability.logs import bound

LOG = structlog.get_logger(__name__)


class Correlating(Interceptor):
    """Give it to `Worker(interceptors=[...])`, after the tracing of the client's plugin."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    # `object` is what the base class cannot promise: the result of any activity passes through.
    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        info = activity.info()
        chain = dict(_chain(input.args[0])) if input.args else {}
        traces.tell(**chain, **{names.ATTEMPT: info.attempt})
        run = {names.WORKFLOW_ID: info.workflow_id or "", names.RUN_ID: info.workflow_run_id or ""}
        with (
            traces.confiding(),
            bound(**chain, **run),
            bound(activity=info.activity_type, attempt=info.attempt),
        ):
            try:
                return await self.next.execute_activity(input)
            except Exception as error:
                # Temporal's own line on it stands outside of the block, and on level debug where it tries again.
                trace.get_current_span().set_attribute(names.ERROR_TYPE, _type_of(error))
                LOG.warning("attempt failed", error=_type_of(error))
                raise


def _type_of(error: Exception) -> str:
    return (error.type if isinstance(error, ApplicationError) else "") or type(error).__name__


def _chain(argument: object) -> Iterator[tuple[str, str]]:
    """Tenant, correlation id and item of an input, or of what it says that it is for."""
    for told in (getattr(argument, "request", None), getattr(argument, "whose", None), argument):
        if not isinstance(told, BaseModel):
            continue
        for name, attribute in (
            (names.CORRELATION_ID, "correlation_id"),
            (names.CHAIN_ID, "correlation_id"),
            (names.TENANT, "tenant"),
            (names.ITEM, "key"),
        ):
            if value := getattr(told, attribute, None):
                yield name, str(value)
