"""JSON-RPC 2.0 (jsonrpc.org/specification): bodies into calls, results and errors into bodies. Knows no HTTP.

Handlers take their parameters as one pydantic model. By position they are its fields in order, by name its fields.
"""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from pointsman.contracts.base import Json
from pointsman.domain.words import how_many

LOG = structlog.get_logger(__name__)
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
BATCH_MAX = 50
"""Calls in one batch; a longer one is refused as a whole."""
BATCH_AT_ONCE = 8
"""Calls of one batch that are under way at the same time."""
PLACE_CHARS_MAX = 200
"""Of the name of a parameter that does not fit: it may be deep inside of what was sent."""
# What pydantic says in words of Python.
IN_JSON = {
    "dict_type": "Input should be an object",
    "extra_forbidden": "Nothing of that name is taken",
    "model_type": "Input should be an object",
    "too_short": "Array should not be empty",
    "tuple_type": "Input should be an array",
}
# Half of a pair of escapes that stands for one character: no text that could be passed on.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

P = TypeVar("P", bound=BaseModel)
C = TypeVar("C")


class RpcError(Exception):
    """An error of a method, as its caller gets to see it. `data` says more, for programs."""

    def __init__(self, code: int, message: str, data: Mapping[str, Json] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = dict(data or {})

    def document(self) -> dict[str, Json]:
        told: dict[str, Json] = {"code": self.code, "message": self.message}
        return {**told, "data": self.data} if self.data else told


@dataclass(frozen=True)
class Method(Generic[P, C]):
    """A method: what it takes, and who does it. `C` is what the transport knows of the caller."""

    parameters: type[P]
    handle: Callable[[P, C], Awaitable[Json]]


@dataclass(frozen=True)
class Call:
    """A request that is one. A notification has no id, and gets no answer."""

    method: str
    parameters: Json
    call_id: Json
    is_notification: bool


Methods = Mapping[str, Method[BaseModel, C]]


async def answer(body: bytes, methods: Methods[C], context: C) -> Json | None:
    """The answer to a body; None where there is none to give, because all of it were notifications."""
    try:
        document = parse(body)
    except RpcError as error:
        return failed(None, error)
    return await respond(document, methods, context)


def parse(body: bytes) -> Json:
    """The document that a body is.

    Raises:
        RpcError: it is no JSON (RFC 8259).
    """
    try:
        document: Json = json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite)
        if _SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "Parse error", {"reason": "the body is no JSON"}) from None
    return document


async def respond(document: Json, methods: Methods[C], context: C) -> Json | None:
    """The answer to a document, one call or a batch of them; None where there is none to give."""
    if not isinstance(document, list):
        return await _one(document, methods, context)
    if not document:
        return failed(None, RpcError(INVALID_REQUEST, "Invalid Request", {"reason": "the batch is empty"}))
    if len(document) > BATCH_MAX:
        reason = f"the batch has {how_many(len(document), 'call')}, at most {BATCH_MAX} are taken. None was made."
        return failed(None, RpcError(INVALID_REQUEST, "Invalid Request", {"reason": reason}))
    places = asyncio.Semaphore(BATCH_AT_ONCE)

    async def placed(entry: Json) -> Json | None:
        async with places:
            return await _one(entry, methods, context)

    answers = await asyncio.gather(*(placed(entry) for entry in document))
    return [one for one in answers if one is not None] or None


def read_call(document: Json) -> Call:
    """The call that a document is.

    Raises:
        RpcError: it is none.
    """
    if not isinstance(document, dict):
        raise RpcError(INVALID_REQUEST, "Invalid Request", {"reason": "a request is an object"})
    method, parameters, call_id = document.get("method"), document.get("params"), document.get("id")
    if document.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "Invalid Request", {"reason": 'jsonrpc must be exactly "2.0"'})
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "Invalid Request", {"reason": "method must be text"})
    if "params" in document and not isinstance(parameters, dict | list):
        raise RpcError(INVALID_REQUEST, "Invalid Request", {"reason": "params must be an object or an array"})
    if isinstance(call_id, bool | dict | list):
        raise RpcError(INVALID_REQUEST, "Invalid Request", {"reason": "id must be text, a number or null"})
    return Call(method, parameters, call_id, "id" not in document)


def read_parameters(call: Call, wanted: type[P]) -> P:
    """The parameters of a call, by name or by position.

    Raises:
        RpcError: they do not fit; names the parameter.
    """
    given = call.parameters
    if isinstance(given, list):
        names = list(wanted.model_fields)
        if len(given) > len(names):
            reason = f"{how_many(len(given), 'parameter')} given, {call.method} takes at most {len(names)}"
            raise RpcError(INVALID_PARAMS, "Invalid params", {"reason": reason})
        given = dict(zip(names, given, strict=False))
    try:
        return wanted.model_validate(given or {})
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> RpcError:
    """What is wrong with parameters, without the values: they may be anything."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"])[:PLACE_CHARS_MAX]
    told = IN_JSON.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    reason = f"{where}: {told}" if where else told
    return RpcError(INVALID_PARAMS, "Invalid params", {"reason": reason})


def failed(call_id: Json, error: RpcError) -> Json:
    """The answer that an error is."""
    return {"jsonrpc": "2.0", "error": error.document(), "id": call_id}


def succeeded(call_id: Json, result: Json) -> Json:
    """The answer that a result is."""
    return {"jsonrpc": "2.0", "result": result, "id": call_id}


def internal(error: Exception) -> RpcError:
    """For what nobody foresaw: the log has it, the caller learns nothing of it."""
    LOG.error("call failed", exc_info=error)
    return RpcError(INTERNAL_ERROR, "Internal error", {"reason": "the log has it, under the answer's correlation id"})


async def _one(document: Json, methods: Methods[C], context: C) -> Json | None:
    try:
        call = read_call(document)
    except RpcError as error:
        return failed(_id_of(document), error)
    try:
        result = await _call(call, methods, context)
    except RpcError as error:
        return None if call.is_notification else failed(call.call_id, error)
    except Exception as error:  # whatever it is, the other calls of the batch have their answers
        told = internal(error)
        return None if call.is_notification else failed(call.call_id, told)
    return None if call.is_notification else succeeded(call.call_id, result)


async def _call(call: Call, methods: Methods[C], context: C) -> Json:
    method = methods.get(call.method)
    if method is None:
        known: Sequence[Json] = sorted(methods)
        raise RpcError(METHOD_NOT_FOUND, "Method not found", {"method": call.method, "methods": list(known)})
    return await method.handle(read_parameters(call, method.parameters), context)


def _id_of(document: Json) -> Json:
    """The id of a request that is not valid, where one can be made out."""
    found = document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str | int | float) and not isinstance(found, bool) else None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON (RFC 8259)")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("larger than any number that can be given back")
    return value
