"""Log lines and spans of activities carry whose work they do: workflow, attempt, and the chain that the input names."""

from collections.abc import Iterator

from opentelemetry import trace
from pydantic import BaseModel
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from pointsman.observability import names
from pointsman.observability.logs import bound


class Correlating(Interceptor):
    """Give it to `Worker(interceptors=[...])`, after the tracing of the client's plugin."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    # `object` is what the base class cannot promise: the result of any activity passes through.
    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        info = activity.info()
        chain = dict(_chain(input.args[0])) if input.args else {}
        span = trace.get_current_span()
        for name, value in chain.items():
            span.set_attribute(names.ATTRIBUTE_PREFIX + name, value)
        run = {names.WORKFLOW_ID: info.workflow_id or "", names.RUN_ID: info.workflow_run_id or ""}
        with bound(**chain, **run), bound(activity=info.activity_type, attempt=info.attempt):
            return await self.next.execute_activity(input)


def _chain(argument: object) -> Iterator[tuple[str, str]]:
    """Tenant, correlation id and item of an input, or of the request inside it."""
    for told in (getattr(argument, "request", None), argument):
        if not isinstance(told, BaseModel):
            continue
        for name, attribute in (
            (names.CORRELATION_ID, "correlation_id"),
            (names.TENANT, "tenant"),
            (names.ITEM, "key"),
        ):
            if value := getattr(told, attribute, None):
                yield name, str(value)
