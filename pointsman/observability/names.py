"""Every name under which something can be looked up: metrics, labels, spans, attributes, keys of log lines.

Dashboards, alerts and saved searches hang on these: a name is only added, never changed.
"""

from typing import Final

PREFIX: Final = "pointsman_"

# Metrics of the intake.
DELIVERIES: Final = PREFIX + "deliveries"
ACK_SECONDS: Final = PREFIX + "delivery_ack_seconds"
INBOX_DEPTH: Final = PREFIX + "inbox_depth"
INBOX_AGE_SECONDS: Final = PREFIX + "inbox_oldest_age_seconds"

# Metrics of service hooks, and of what they lost.
EVENTS_RECOVERED: Final = PREFIX + "events_recovered"
EVENTS_UNRECOVERED: Final = PREFIX + "events_unrecovered"
HOOKS_IN_TROUBLE: Final = PREFIX + "hooks_in_trouble"
RECOVERED_AT_SECONDS: Final = PREFIX + "recovery_last_timestamp_seconds"

# Metrics of the dispatcher.
DISPATCHED: Final = PREFIX + "dispatches"
DISPATCH_SECONDS: Final = PREFIX + "dispatch_seconds"
DISPATCH_FAILURES: Final = PREFIX + "dispatch_failures"
DISPATCHER_LEADS: Final = PREFIX + "dispatcher_leads"

# Metrics of the work, from the books that the store keeps.
MODEL_CALLS: Final = PREFIX + "model_calls"
MODEL_TOKENS: Final = PREFIX + "model_tokens"
MODEL_COST_USD: Final = PREFIX + "model_cost_usd"
MODEL_SECONDS: Final = PREFIX + "model_call_seconds"
TOOL_CALLS: Final = PREFIX + "tool_calls"
AGENT_MESSAGES: Final = PREFIX + "agent_service_messages"
WRITES: Final = PREFIX + "writes"
TRANSITIONS: Final = PREFIX + "item_transitions"
ESCALATIONS_OPENED: Final = PREFIX + "escalations_opened"
ESCALATIONS_OPEN: Final = PREFIX + "escalations_open"
DECISIONS: Final = PREFIX + "decisions"

# Metrics of the calls to Azure DevOps, by organisation.
TRACKER_ANSWERS: Final = PREFIX + "tracker_answers"
TRACKER_CACHE: Final = PREFIX + "tracker_cache_answers"
TRACKER_CACHE_AGE_SECONDS: Final = PREFIX + "tracker_cache_age_seconds"
TRACKER_CACHE_SAVED: Final = PREFIX + "tracker_cache_saved_calls"
TRACKER_CALLS: Final = PREFIX + "tracker_calls"
TRACKER_PAUSES: Final = PREFIX + "tracker_pauses"
TRACKER_PLACES: Final = PREFIX + "tracker_places"
TRACKER_PAUSED_SECONDS: Final = PREFIX + "tracker_paused_seconds"
TRACKER_REMAINING: Final = PREFIX + "tracker_allowance_remaining"
TRACKER_WAIT_SECONDS: Final = PREFIX + "tracker_wait_seconds"

# Metrics of the model service, under the names that its users agreed on.
LLM_REQUESTS: Final = "llm_requests"
LLM_SECONDS: Final = "llm_requests_duration_seconds"
LLM_FIRST_TOKEN_SECONDS: Final = "llm_time_to_first_token_seconds"  # noqa: S105 - a token of text
LLM_TOKENS: Final = "llm_tokens"
LLM_COST_USD: Final = "llm_cost_usd"
LLM_ERRORS: Final = "llm_errors"
LLM_ACTIVE: Final = "llm_active_requests"
LLM_VIOLATIONS: Final = "llm_governance_violations"
LLM_RATE_LIMITED: Final = "llm_rate_limit_errors"
LLM_RETRY_DELAY: Final = "llm_rate_limit_retry_delay_seconds"
LLM_ATTEMPTS: Final = "llm_attempts"
LLM_CACHED: Final = "llm_cache_hits"
LLM_CACHE_MISSES: Final = "llm_cache_misses"
LLM_CACHE_SAVED_USD: Final = "llm_cache_saved_usd"
LLM_BUDGET_RESERVATIONS: Final = "llm_budget_reservations"
LLM_BUDGET_REFUSALS: Final = "llm_budget_refusals"
LLM_BUDGET_USED: Final = "llm_budget_used_ratio"
LLM_CIRCUITS: Final = "llm_circuit_breakers"
LLM_QUEUE: Final = "llm_queue_depth"

# Metrics of the rules of processes.
PROCESS_FINDINGS: Final = PREFIX + "process_findings"
VIOLATIONS_OPEN: Final = PREFIX + "process_violations_open"
VIOLATIONS_OPENED: Final = PREFIX + "process_violations_opened"
VIOLATIONS_RESOLVED: Final = PREFIX + "process_violations_resolved"

# Metrics of synchronisation.
SYNC_CONFLICTS: Final = PREFIX + "sync_conflicts"
SYNC_CONFLICTS_OPEN: Final = PREFIX + "sync_conflicts_open"
SYNC_LOOPS: Final = PREFIX + "sync_loops_broken"
SYNC_QUARANTINED: Final = PREFIX + "sync_items_quarantined"
SYNC_ITEMS: Final = PREFIX + "sync_items"
SYNC_TROUBLE: Final = PREFIX + "sync_items_in_trouble"
SYNC_COMPARED_SECONDS: Final = PREFIX + "sync_last_compared_timestamp_seconds"

# Metrics of the audit log.
AUDIT_PENDING: Final = PREFIX + "audit_pending"
AUDIT_SIZE: Final = PREFIX + "audit_size"

# Labels of metrics. Their values come from short lists; ids never become labels.
LABEL_ACCOUNT: Final = "account"
LABEL_AGENT: Final = "agent"
LABEL_DIRECTION: Final = "direction"
LABEL_KIND: Final = "kind"
LABEL_LEVEL: Final = "level"
LABEL_MODEL: Final = "model"
LABEL_OUTCOME: Final = "outcome"
LABEL_PRACTICE: Final = "practice"
LABEL_PROJECT: Final = "project"
LABEL_PROVIDER: Final = "provider"
LABEL_REASON: Final = "reason"
LABEL_SCOPE: Final = "scope"
LABEL_SEVERITY: Final = "severity"
LABEL_SOURCE_AGENT: Final = "source_agent"
LABEL_STATE: Final = "state"
LABEL_STATUS: Final = "status"
LABEL_TARGET: Final = "target"
LABEL_TENANT: Final = "tenant"
LABEL_ERROR_TYPE: Final = "error_type"
LABEL_TOKEN_TYPE: Final = "token_type"  # noqa: S105 - tokens of text
LABEL_VERB: Final = "verb"

# Spans of ours.
SPAN_RECEIVE: Final = "delivery.receive"
SPAN_DISPATCH: Final = "delivery.dispatch"
SPAN_RPC: Final = "rpc.call"
SPAN_LLM: Final = "llm.request"

# Spans of libraries begin so; what follows is the name of a workflow, signal, update, activity or tool.
SPANS_OF_TEMPORAL: Final = (
    "SignalWithStartWorkflow:",
    "RunWorkflow:",
    "CompleteWorkflow:",
    "HandleSignal:",
    "ValidateUpdate:",
    "HandleUpdate:",
    "StartChildWorkflow:",
    "SignalChildWorkflow:",
    "StartActivity:",
    "RunActivity:",
)
SPANS_OF_MCP: Final = ("MCP send ",)
SPANS_OF_A2A: Final = ("a2a.client.",)
SPANS_OF_MODELS: Final = ("chat ",)
ATTRIBUTES_OF_TEMPORAL: Final = ("temporalWorkflowID", "temporalRunID", "temporalActivityID")
ATTRIBUTES_OF_MCP: Final = ("mcp.method.name", "jsonrpc.request.id", "rpc.response.status_code")
ERROR_TYPE: Final = "error.type"
"""OpenTelemetry's own name: the class of what went wrong."""

# OpenTelemetry's names of what models do, after its semantic conventions for generative AI. These are still in
# development there: only this list follows them.
GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_CHAT: Final = "chat"
GEN_AI_EMBEDDINGS: Final = "embeddings"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_PROVIDERS: Final = {
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
}
"""Providers that are called otherwise there."""
GEN_AI_CONVERSATION: Final = "gen_ai.conversation.id"
GEN_AI_AGENT: Final = "gen_ai.agent.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
GEN_AI_REQUEST_SEED: Final = "gen_ai.request.seed"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_REQUEST_REASONING: Final = "gen_ai.request.reasoning.level"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
ATTRIBUTES_OF_MODELS: Final = (
    GEN_AI_OPERATION,
    GEN_AI_PROVIDER,
    GEN_AI_CONVERSATION,
    GEN_AI_AGENT,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_REQUEST_MAX_TOKENS,
    GEN_AI_REQUEST_TEMPERATURE,
    GEN_AI_REQUEST_SEED,
    GEN_AI_REQUEST_STREAM,
    GEN_AI_REQUEST_REASONING,
    GEN_AI_RESPONSE_ID,
    GEN_AI_RESPONSE_MODEL,
    GEN_AI_FINISH_REASONS,
    GEN_AI_FIRST_CHUNK,
    GEN_AI_INPUT_TOKENS,
    GEN_AI_OUTPUT_TOKENS,
    GEN_AI_CACHE_READ_TOKENS,
    GEN_AI_CACHE_WRITE_TOKENS,
    GEN_AI_REASONING_TOKENS,
)
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - tokens of text
GEN_AI_DURATION: Final = "gen_ai.client.operation.duration"
GEN_AI_TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - tokens of text
GEN_AI_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"

# Keys of log lines; the same names are attributes of spans, under ATTRIBUTE_PREFIX.
CORRELATION_ID: Final = "correlation_id"
CHAIN_ID: Final = "chain_id"
TENANT: Final = "tenant"
ITEM: Final = "item"
DELIVERY_ID: Final = "delivery_id"
EVENT_TYPE: Final = "event_type"
WORKFLOW_ID: Final = "workflow_id"
RUN_ID: Final = "run_id"
ACTIVITY: Final = "activity"
ATTEMPT: Final = "attempt"
OUTCOME: Final = "outcome"
STATE: Final = "state"
AGENT: Final = "agent"
MODEL: Final = "model"
TOOL: Final = "tool"
INPUT_TOKENS: Final = "input_tokens"
OUTPUT_TOKENS: Final = "output_tokens"
COST_USD: Final = "cost_usd"
SECONDS: Final = "seconds"
OPERATION: Final = "operation"
REVISION: Final = "rev"
ESCALATION: Final = "escalation"
KIND: Final = "kind"
SEVERITY: Final = "severity"
VERB: Final = "verb"
REQUEST_ID: Final = "request_id"
ATTEMPTS: Final = "attempts"
SOURCE_AGENT: Final = "source_agent"
TRACE_ID: Final = "trace_id"
SPAN_TRACE_ID: Final = "span_trace_id"
"""The trace of `span_id`, where whoever asked a model gave its request a `trace_id` of another kind."""
SPAN_ID: Final = "span_id"
ATTRIBUTE_PREFIX: Final = "pointsman."
WHOSE: Final = (CORRELATION_ID, CHAIN_ID, TENANT, ITEM)
"""What every span inherits from its parent, across processes too."""

SERVICE_NAME: Final = "pointsman"
SCOPE: Final = "pointsman"
"""Instrumentation scope of our spans."""
