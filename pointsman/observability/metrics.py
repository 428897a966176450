"""Prometheus metrics of ours, in a registry of their own; Temporal Core's own are fetched and put beside them.

Counters count what this process did. Gauges are set right before they are read (`starter.web.health`), from the store.
"""

from datetime import timedelta

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from pointsman.observability import names

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
DISPATCH_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
AGE_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600)
CALL_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
CORE_TIMEOUT = timedelta(seconds=1)


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._intake()
        self._hooks()
        self._dispatch()
        self._work()
        self._tracker()
        self._tracker_cache()
        self._process()
        self._sync()
        self._reconciliation()
        self._audit()

    def _intake(self) -> None:
        self.deliveries = Counter(
            names.DELIVERIES,
            "Webhook calls by what became of them.",
            (names.LABEL_TENANT, names.LABEL_KIND, names.LABEL_OUTCOME),
            registry=self.registry,
        )
        self.ack_seconds = Histogram(
            names.ACK_SECONDS,
            "From the first byte of a webhook call to our answer.",
            buckets=FAST_SECONDS,
            registry=self.registry,
        )
        self.inbox_depth = Gauge(
            names.INBOX_DEPTH, "Rows of the inbox that wait or are dead.", (names.LABEL_STATE,), registry=self.registry
        )
        self.inbox_age_seconds = Gauge(
            names.INBOX_AGE_SECONDS, "Age of the oldest delivery that is not handed over.", registry=self.registry
        )

    def _hooks(self) -> None:
        organisation = (names.LABEL_TARGET,)
        self.events_recovered = Counter(
            names.EVENTS_RECOVERED,
            "Events that service hooks lost and a recovery brought back.",
            (*organisation, names.LABEL_KIND),
            registry=self.registry,
        )
        self.events_unrecovered = Counter(
            names.EVENTS_UNRECOVERED,
            "Items and spans of which a recovery could not bring all back, each once.",
            organisation,
            registry=self.registry,
        )
        self.hooks_in_trouble = Gauge(
            names.HOOKS_IN_TROUBLE,
            "Subscriptions that lose events, as they were last looked at.",
            (names.LABEL_REASON,),
            registry=self.registry,
        )
        self.recovered_at_seconds = Gauge(
            names.RECOVERED_AT_SECONDS,
            "When a recovery of the organisation last ended, in seconds since 1970.",
            organisation,
            registry=self.registry,
        )

    def _dispatch(self) -> None:
        self.dispatches = Counter(
            names.DISPATCHED,
            "Rows of the inbox that the dispatcher finished.",
            (names.LABEL_TENANT, names.LABEL_KIND, names.LABEL_OUTCOME),
            registry=self.registry,
        )
        self.dispatch_seconds = Histogram(
            names.DISPATCH_SECONDS,
            "From the acknowledgement of a delivery to its hand-over.",
            buckets=DISPATCH_SECONDS,
            registry=self.registry,
        )
        self.dispatch_failures = Counter(
            names.DISPATCH_FAILURES,
            "Attempts to hand a row over that failed.",
            (names.LABEL_TENANT, names.LABEL_REASON),
            registry=self.registry,
        )
        self.dispatcher_leads = Gauge(
            names.DISPATCHER_LEADS, "1 while this process hands deliveries over.", registry=self.registry
        )

    def _work(self) -> None:
        per_model = (names.LABEL_TENANT, names.LABEL_MODEL)
        self.model_calls = Counter(
            names.MODEL_CALLS, "Calls to models.", (*per_model, names.LABEL_OUTCOME), registry=self.registry
        )
        self.model_tokens = Counter(
            names.MODEL_TOKENS, "Tokens as billed.", (*per_model, names.LABEL_DIRECTION), registry=self.registry
        )
        self.model_cost_usd = Counter(names.MODEL_COST_USD, "Cost in US dollars.", per_model, registry=self.registry)
        self.model_seconds = Histogram(
            names.MODEL_SECONDS, "Duration of model calls.", per_model, buckets=CALL_SECONDS, registry=self.registry
        )
        by_target = (names.LABEL_TENANT, names.LABEL_TARGET, names.LABEL_OUTCOME)
        self.tool_calls = Counter(names.TOOL_CALLS, "Calls of tools.", by_target, registry=self.registry)
        self.agent_messages = Counter(
            names.AGENT_MESSAGES,
            "Messages to remote agent services, and tasks that they were told to stop.",
            (names.LABEL_TENANT, names.LABEL_AGENT, names.LABEL_OUTCOME),
            registry=self.registry,
        )
        self.writes = Counter(
            names.WRITES, "Writes to Azure DevOps.", (names.LABEL_TENANT, names.LABEL_OUTCOME), registry=self.registry
        )
        self.transitions = Counter(
            names.TRANSITIONS,
            "Transitions of work items, by the state they led to.",
            (names.LABEL_TENANT, names.LABEL_STATE, names.LABEL_AGENT),
            registry=self.registry,
        )
        self.escalations_opened = Counter(
            names.ESCALATIONS_OPENED,
            "Questions put to humans.",
            (names.LABEL_TENANT, names.LABEL_KIND, names.LABEL_SEVERITY),
            registry=self.registry,
        )
        self.escalations_open = Gauge(
            names.ESCALATIONS_OPEN, "Questions without an answer.", (names.LABEL_SEVERITY,), registry=self.registry
        )
        self.decisions = Counter(
            names.DECISIONS,
            "How questions to humans ended.",
            (names.LABEL_TENANT, names.LABEL_KIND, names.LABEL_VERB),
            registry=self.registry,
        )

    def _tracker(self) -> None:
        organisation = (names.LABEL_TARGET,)
        self.tracker_answers = Counter(
            names.TRACKER_ANSWERS,
            "Answers of Azure DevOps by HTTP status.",
            (*organisation, names.LABEL_STATUS),
            registry=self.registry,
        )
        self.tracker_calls = Gauge(
            names.TRACKER_CALLS, "Calls to Azure DevOps under way.", organisation, registry=self.registry
        )
        self.tracker_pauses = Counter(
            names.TRACKER_PAUSES,
            "Times that Azure DevOps slowed, blocked or dropped us, or that another process told so.",
            (*organisation, names.LABEL_REASON),
            registry=self.registry,
        )
        self.tracker_paused_seconds = Counter(
            names.TRACKER_PAUSED_SECONDS,
            "Time for which Azure DevOps wanted no calls; pauses that overlap count each.",
            (*organisation, names.LABEL_REASON),
            registry=self.registry,
        )
        self.tracker_places = Gauge(
            names.TRACKER_PLACES,
            "Calls to Azure DevOps that this process may have under way, of those that all processes share.",
            organisation,
            registry=self.registry,
        )
        self.tracker_remaining = Gauge(
            names.TRACKER_REMAINING,
            "What was left of Azure DevOps' allowance when it last told, which it does near the end only.",
            organisation,
            registry=self.registry,
        )
        self.tracker_wait_seconds = Histogram(
            names.TRACKER_WAIT_SECONDS,
            "How long calls waited because Azure DevOps asked to.",
            organisation,
            buckets=FAST_SECONDS,
            registry=self.registry,
        )

    def _tracker_cache(self) -> None:
        by_kind = (names.LABEL_TARGET, names.LABEL_KIND)
        self.tracker_cache = Counter(
            names.TRACKER_CACHE,
            "Questions to Azure DevOps by where the answer came from: memory, store, joined (somebody was asking), "
            "missed (it was asked).",
            (*by_kind, names.LABEL_OUTCOME),
            registry=self.registry,
        )
        self.tracker_cache_saved = Counter(
            names.TRACKER_CACHE_SAVED,
            "Calls to Azure DevOps that were not made, because the answer was there.",
            by_kind,
            registry=self.registry,
        )
        self.tracker_cache_age_seconds = Histogram(
            names.TRACKER_CACHE_AGE_SECONDS,
            "How old answers were that were not asked for anew.",
            by_kind,
            buckets=AGE_SECONDS,
            registry=self.registry,
        )

    def _process(self) -> None:
        place = (names.LABEL_TARGET, names.LABEL_PROJECT)
        rule = (*place, names.LABEL_SEVERITY, names.LABEL_PRACTICE)
        self.process_findings = Counter(
            names.PROCESS_FINDINGS,
            "What checks of items said: held, violated, or no_data where it cannot be known.",
            (*place, names.LABEL_OUTCOME),
            registry=self.registry,
        )
        self.violations_open = Gauge(
            names.VIOLATIONS_OPEN,
            "Violations of process rules that stand, by whether somebody has them: open, acknowledged, waived.",
            (*rule, names.LABEL_STATE),
            registry=self.registry,
        )
        self.violations_opened = Counter(
            names.VIOLATIONS_OPENED, "Violations of process rules that opened.", rule, registry=self.registry
        )
        self.violations_resolved = Counter(
            names.VIOLATIONS_RESOLVED, "Violations of process rules that were resolved.", rule, registry=self.registry
        )

    def _sync(self) -> None:
        self.sync_conflicts = Counter(
            names.SYNC_CONFLICTS,
            "Fields that both sides had changed, by what came of it: ours, theirs, base, merged, overtaken.",
            (names.LABEL_TENANT, names.LABEL_OUTCOME),
            registry=self.registry,
        )
        self.sync_conflicts_open = Gauge(
            names.SYNC_CONFLICTS_OPEN,
            "Fields that both sides changed, and nobody has decided on.",
            registry=self.registry,
        )
        self.sync_loops_broken = Counter(
            names.SYNC_LOOPS,
            "Items that were written to so often that they went into quarantine.",
            (names.LABEL_TENANT,),
            registry=self.registry,
        )
        self.sync_items_quarantined = Gauge(
            names.SYNC_QUARANTINED, "Items that nothing is written to until somebody says so.", registry=self.registry
        )

    def _reconciliation(self) -> None:
        place = (names.LABEL_TARGET, names.LABEL_PROJECT)
        self.sync_items = Gauge(
            names.SYNC_ITEMS,
            "Items of Azure DevOps by how they stood beside our books when the project was last compared.",
            (*place, names.LABEL_STATE),
            registry=self.registry,
        )
        self.sync_items_in_trouble = Gauge(
            names.SYNC_TROUBLE,
            "Items that the last comparison found conflicting, lost or hidden, and could not repair.",
            place,
            registry=self.registry,
        )
        self.sync_compared_at_seconds = Gauge(
            names.SYNC_COMPARED_SECONDS,
            "When the project was last compared with our books, in seconds since 1970.",
            place,
            registry=self.registry,
        )

    def _audit(self) -> None:
        self.audit_pending = Gauge(
            names.AUDIT_PENDING, "Events of the audit log that no checkpoint covers yet.", registry=self.registry
        )
        self.audit_size = Gauge(names.AUDIT_SIZE, "Events that the last checkpoint covers.", registry=self.registry)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


def core_runtime(port: int) -> Runtime | None:
    """Runtime for `Client.connect` that serves the worker's own metrics on a loopback port; None for port 0.

    Temporal Core binds the port itself, at once, for as long as the process lives.
    """
    if port == 0:
        return None
    prometheus = PrometheusConfig(
        bind_address=f"127.0.0.1:{port}", counters_total_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=prometheus))


async def core_exposition(port: int) -> bytes:
    """What Temporal Core serves on its port; a comment with the reason where it does not answer."""
    if port == 0:
        return b""
    timeout = aiohttp.ClientTimeout(total=CORE_TIMEOUT.total_seconds())
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            answer.raise_for_status()
            return await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"# Temporal Core's metrics on port {port} cannot be read: {type(error).__name__}\n".encode()
