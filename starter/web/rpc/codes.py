"""Every error that the endpoint answers with: one table, from which the reference is written.

Codes of our own are between -32000 and -32099, which the specification leaves to implementations. A code is only ever
added, never given another meaning.
"""

from dataclasses import dataclass

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.errors import LLMError, ModelRetiredError, ProviderError
from pointsman.llm.selector import NoModelError
from starter.web.rpc import protocol
from starter.web.rpc.context import Context
from starter.web.rpc.protocol import RpcError


@dataclass(frozen=True)
class Code:
    """`status` is of HTTP. An error of a model call names the class that it stands for, with those under it."""

    code: int
    message: str
    remedy: str
    status: int = 200
    stands_for: type[LLMError] | None = None

    def error(self, reason: str, **data: Json) -> RpcError:
        return RpcError(self.code, self.message, {"reason": reason, **data})


PARSE = Code(protocol.PARSE_ERROR, "Parse error", "Send JSON in UTF-8.")
INVALID_REQUEST = Code(protocol.INVALID_REQUEST, "Invalid Request", "`data.reason` says what a request needs.")
METHOD_NOT_FOUND = Code(protocol.METHOD_NOT_FOUND, "Method not found", "`data.methods` lists what there is.")
INVALID_PARAMS = Code(protocol.INVALID_PARAMS, "Invalid params", "`data.reason` names the parameter.")
INTERNAL = Code(protocol.INTERNAL_ERROR, "Internal error", "Ask the operator, with the header `X-Correlation-Id`.")
UNAUTHORIZED = Code(-32001, "Unauthorized", "Send `Authorization: Bearer TOKEN` with one of the tokens.", 401)
NOT_SET_UP = Code(-32002, "Not set up", "The operator sets `POINTSMAN_RPC_TOKENS`, and starts again.", 503)
TOO_LARGE = Code(-32003, "Too large", "Send less, or the operator raises `POINTSMAN_RPC_MAX_BYTES`.", 413)
WRONG_TYPE = Code(-32004, "Unsupported media type", "Send `Content-Type: application/json`, in UTF-8.", 415)
WRONG_METHOD = Code(-32005, "Method not allowed", "Use POST for calls, GET and DELETE for a stream.", 405)
NOT_ACCEPTABLE = Code(-32006, "Not acceptable", "Accept `text/event-stream` for `llm.stream`.", 406)
INCOMPLETE = Code(-32007, "Body incomplete", "Send it again.", 408)
NO_STREAM = Code(-32008, "No such stream", "It is over, or another's. Call `llm.stream` again.", 404)
EVENTS_GONE = Code(-32009, "Events gone", "Call `llm.stream` again, and read faster.", 410)
TOO_MANY_STREAMS = Code(-32010, "Too many streams", "Wait until one ends, or close one with DELETE.", 429)
STREAM_CLOSED = Code(-32011, "Stream closed", "It was closed before its end. Call `llm.stream` again.")

OF_ENDPOINT = (
    PARSE,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    INVALID_PARAMS,
    INTERNAL,
    UNAUTHORIZED,
    NOT_SET_UP,
    TOO_LARGE,
    WRONG_TYPE,
    WRONG_METHOD,
    NOT_ACCEPTABLE,
    INCOMPLETE,
    NO_STREAM,
    EVENTS_GONE,
    TOO_MANY_STREAMS,
    STREAM_CLOSED,
)


def _of(code: int, kind: type[LLMError], message: str, remedy: str) -> Code:
    return Code(code, message, remedy, stands_for=kind)


OF_MODELS = (
    _of(-32020, errors.ModelNotAllowedError, "Model not allowed", "`llm.models` lists those that are."),
    _of(-32021, errors.ModelRetiredError, "Model retired", "`data.replacement` takes its place."),
    _of(-32022, NoModelError, "No model fits", "`data.reason` says why each was left out."),
    _of(-32023, errors.BudgetExceededError, "Budget exceeded", "Ask for less, or for more budget."),
    _of(-32024, errors.QueueFullError, "Queue full", "Wait, or ask for another provider."),
    _of(-32025, errors.CircuitOpenError, "Provider left alone", "Wait, or ask for another provider."),
    _of(-32026, errors.RateLimitedError, "Rate limited", "Wait as long as `data.retry_after` says."),
    _of(-32027, errors.ProviderOverloadedError, "Provider overloaded", "Try again."),
    _of(-32028, errors.ProviderTimeoutError, "Provider timeout", "Try again; the first call may be billed."),
    _of(-32029, errors.ProviderConnectionError, "Provider not reached", "Try again."),
    _of(-32030, errors.TruncatedStreamError, "Stream truncated", "Try again. What had come is no answer."),
    _of(-32031, errors.InvalidResponseError, "Provider answered nonsense", "Try again."),
    _of(-32032, errors.ContextWindowExceededError, "Context window exceeded", "Shorten the conversation."),
    _of(-32033, errors.ContentRefusedError, "Content refused", "Say it in another way."),
    _of(-32034, errors.AuthenticationError, "Provider refuses our key", "The operator looks at the provider's key."),
    _of(-32035, errors.InvalidRequestError, "Provider refuses the request", "`data.reason` says what is wrong."),
    _of(-32038, errors.BooksUnavailableError, "Books unavailable", "Try again. The operator looks at the store."),
    _of(-32036, ProviderError, "Provider failed", "`data.reason` says how."),
    _of(-32037, LLMError, "Model call failed", "`data.reason` says how."),
)


def code_of(error: LLMError) -> Code:
    """The code of its class, or of the nearest class above it that has one."""
    codes = {code.stands_for: code for code in OF_MODELS}
    return next(codes[kind] for kind in type(error).__mro__ if kind in codes)


def error_of(error: LLMError, context: Context) -> RpcError:
    """A model call that failed, as its caller gets to see it. `retry_after` is in seconds."""
    data: dict[str, Json] = {"type": type(error).__name__, "retryable": False, **context._asdict()}
    if isinstance(error, ProviderError):
        waits = error.retry_after.total_seconds() if error.retry_after is not None else None
        data |= {
            # Also where waiting helps although the service itself does not wait for it.
            "retryable": error.retryable or waits is not None,
            "retry_after": waits,
            "provider": error.provider,
            "model": error.model,
            "request_id": error.request_id,
            "provider_code": error.code,
            "usage": error.usage.model_dump(mode="json") if error.usage else None,
        }
    if isinstance(error, ModelRetiredError):
        data |= {"replacement": error.replacement, "since": error.since.isoformat() if error.since else None}
    reason = error.reason if isinstance(error, ProviderError) else str(error)
    return code_of(error).error(reason, **data)
