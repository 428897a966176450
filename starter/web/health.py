"""Is this process alive, is it fit for work, and what does it count?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from temporalio.service import RPCError

from pointsman.contracts.policy import Policy, Severity
from pointsman.contracts.records import DeliveryState, ReconciledCount, Tally
from pointsman.contracts.recovery import HookProblem
from pointsman.domain.words import how_many
from pointsman.llm.breakers import BreakerState
from pointsman.observability import metrics
from pointsman.observability.metrics import Metrics
from pointsman.ports import Inbox, Rejected, Unavailable
from pointsman.temporal import TemporalUnreachable
from starter.connection import Connection
from starter.web.services import Check, Services, Unfit, now

LOG = structlog.get_logger(__name__)
# Their texts are ours and hold no secret; of any other error only the type is told.
TOLD = (Unfit, Unavailable, Rejected, TemporalUnreachable)


class CheckResult(BaseModel):
    name: str
    status: Literal["ok", "fail"]
    required: bool
    latency_ms: float
    message: str


class Readiness(BaseModel):
    status: Literal["ready", "degraded", "unready"]
    """degraded: something that is not required fails; deliveries are kept meanwhile."""
    version: str
    checks: list[CheckResult]


class Liveness(BaseModel):
    status: Literal["alive"] = "alive"
    version: str


def router(services: Services) -> APIRouter:
    routes = APIRouter()

    @routes.get("/health/live", summary="Does the process answer?")
    async def live() -> Liveness:
        return Liveness(version=services.version)

    @routes.get(
        "/health/ready",
        summary="Can the process do its work? Each dependency with its latency",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "A required dependency fails."}},
    )
    async def ready() -> JSONResponse:
        told = await readiness(services)
        return JSONResponse(told.model_dump(), 503 if told.status == "unready" else 200)

    @routes.get("/metrics", summary="Prometheus metrics: ours, and those of a worker in this process")
    async def exposed() -> Response:
        text = await exposition(services.metrics, services.standing, services.core_metrics_port)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    return routes


async def exposition(measured: Metrics, standing: Callable[[], Awaitable[Tally]], core_port: int) -> bytes:
    """What a process counted, how the books stand now, and what Temporal Core counted in the same process."""
    try:
        set_gauges(measured, await standing())
    except Exception:  # a store that fails must not hide the metrics that say so
        LOG.exception("gauges could not be set")
    return measured.exposition() + await metrics.core_exposition(core_port)


async def readiness(services: Services) -> Readiness:
    """Ask every dependency at once."""
    results = await asyncio.gather(*(ask(check) for check in services.checks))
    return Readiness(status=_overall(results), version=services.version, checks=results)


def _overall(results: list[CheckResult]) -> Literal["ready", "degraded", "unready"]:
    if any(result.status == "fail" for result in results if result.required):
        return "unready"
    return "degraded" if any(result.status == "fail" for result in results) else "ready"


async def ask(check: Check) -> CheckResult:
    """One dependency. Never raises, and never takes longer than its time limit."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(check.timeout.total_seconds()):
            message, fit = await check.probe(), True
    except TimeoutError:
        message, fit = f"no answer within {check.timeout.total_seconds():g} s", False
    except TOLD as error:
        message, fit = str(error), False
    except Exception as error:  # a probe may fail in any way, and that is its result
        LOG.warning("health check failed", check=check.name, exc_info=error)
        message, fit = type(error).__name__, False
    latency_ms = round((time.perf_counter() - started) * 1000, 2)
    status: Literal["ok", "fail"] = "ok" if fit else "fail"
    return CheckResult(name=check.name, status=status, required=check.required, latency_ms=latency_ms, message=message)


def set_gauges(measured: Metrics, standing: Tally) -> None:
    """Gauges as the books stand now. What is absent there is zero, or an old value would stay for ever."""
    for state in (DeliveryState.PENDING, DeliveryState.DEAD):
        measured.inbox_depth.labels(state).set(standing.inbox.get(state, 0))
    for severity in Severity:
        measured.escalations_open.labels(severity).set(standing.escalations.get(severity, 0))
    for problem in HookProblem:
        measured.hooks_in_trouble.labels(problem).set(standing.hooks.get(problem, 0))
    measured.violations_open.clear()
    for one in standing.violations:
        measured.violations_open.labels(one.organisation, one.project, one.severity, one.practice, one.state).inc(
            one.count
        )
    oldest = standing.oldest_pending_at
    measured.inbox_age_seconds.set(max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0)
    measured.sync_conflicts_open.set(standing.sync_conflicts)
    measured.sync_items_quarantined.set(standing.sync_quarantined)
    set_compared(measured, standing.reconciled)
    measured.audit_pending.set(standing.audit_pending)
    measured.audit_size.set(standing.audit_size)


def set_compared(measured: Metrics, projects: Sequence[ReconciledCount]) -> None:
    """How each project was found when it was last compared."""
    for gauge in (measured.sync_items, measured.sync_items_in_trouble, measured.sync_compared_at_seconds):
        gauge.clear()
    for one in projects:
        place = (one.organisation, one.project)
        for standing, count in one.counts.items():
            measured.sync_items.labels(*place, standing).set(count)
        measured.sync_items_in_trouble.labels(*place).set(one.trouble)
        measured.sync_compared_at_seconds.labels(*place).set(one.at.timestamp())


def store_check(inbox: Inbox) -> Check:
    async def probe() -> str:
        await inbox.find(limit=1)
        return "answers"

    return Check("store", probe)


def temporal_check(connection: Connection) -> Check:
    async def probe() -> str:
        client = await connection.client()
        try:
            serving = await client.service_client.check_health()
        except RPCError as error:
            raise Unfit(f"Temporal does not answer: {error.status.name}; deliveries are kept meanwhile") from error
        if not serving:
            raise Unfit("Temporal answers that it is not serving")
        return f"namespace {client.namespace}"

    # Not required: whoever took the process out of service for it would lose the deliveries that come meanwhile.
    return Check("temporal", probe, required=False)


def policy_check(policy: Policy) -> Check:
    async def probe() -> str:
        if not policy.scope:
            raise Unfit(f"policy {policy.version} has no scope rule, so no work item is handled")
        return f"version {policy.version}, hash {policy.hash[:12]}"

    return Check("policy", probe)


def intake_check(secrets: int) -> Check:
    """`secrets` is how many are active."""

    async def probe() -> str:
        if not secrets:
            raise Unfit("no secret for deliveries is set: POINTSMAN_WEBHOOK_SECRETS")
        return how_many(secrets, "active secret")

    return Check("intake", probe)


def models_check(circuits: Callable[[], Mapping[str, BreakerState]]) -> Check:
    """`circuits` are those that are not closed, by `PROVIDER/KEY`. Asks no provider."""

    async def probe() -> str:
        troubled = sorted({name.partition("/")[0] for name in circuits()})
        if troubled:
            raise Unfit(f"left alone after failures: {', '.join(troubled)}")
        return "all circuits are closed"

    return Check("models", probe, required=False)


def running_check(name: str, failed: Callable[[], str], *, required: bool = False) -> Check:
    """For loops of this process (dispatcher, sequencer): `failed` returns why it does not run, or an empty text."""

    async def probe() -> str:
        if why := failed():
            raise Unfit(why)
        return "runs"

    return Check(name, probe, required)
