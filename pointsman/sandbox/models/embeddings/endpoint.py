"""One endpoint of embeddings: keys, faults and errors are those of the provider's format for answers."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from pointsman.sandbox.models.control import Control, FaultKind, Outcome, Seen, as_text
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault, Format, sent_by
from pointsman.sandbox.models.leaving import unless_gone


class Answered(NamedTuple):
    body: Object
    headers: Mapping[str, str]


class EmbeddingFormat(ABC):
    """What the provider serves beside `wire`, its format for answers. Made once; keeps no state."""

    name: ClassVar[str]
    paths: ClassVar[Sequence[str]]

    def __init__(self, wire: Format) -> None:
        self.wire = wire

    @abstractmethod
    def model_of(self, raw: bytes, parameters: Mapping[str, str]) -> str:
        """The model that is asked for. Raises `ApiFault` for what cannot be read."""

    @abstractmethod
    def answer(self, raw: bytes, parameters: Mapping[str, str]) -> Answered:
        """The vectors. Raises `ApiFault` as the service refuses."""


class EmbeddingEndpoint:
    """Answers, or fails as ordered."""

    def __init__(self, kind: EmbeddingFormat, control: Control) -> None:
        self._kind = kind
        self._wire = kind.wire
        self._control = control

    async def respond(self, request: Request) -> Response:
        raw = await request.body()
        seen = self._control.receive(raw, self._kind.name)
        named = {**self._wire.headers(), self._wire.request_id_header: seen.request_id}
        try:
            self._wire.admit(sent_by(request, raw))
            response = await unless_gone(request, seen, self._answered(raw, request.path_params, seen))
        except ApiFault as fault:
            seen.end(Outcome.REFUSED if fault.status in (400, 401, 403) else Outcome.FAULTED, str(fault))
            fault.headers.update(named)
            raise
        response.headers.update(named)
        return response

    async def _answered(self, raw: bytes, parameters: Mapping[str, str], seen: Seen) -> Response:
        seen.model = self._kind.model_of(raw, parameters)
        body = as_text(raw)
        fault = self._control.fault(body, seen.model)
        if fault and fault.kind is FaultKind.SILENCE:
            await asyncio.Event().wait()
        if fault and fault.kind is FaultKind.STATUS:
            refused = self._wire.refusal(fault.status, fault.message, fault.code)
            if fault.retry_after:
                self._wire.delay(refused, fault.retry_after)
            raise refused
        await self._control.wait(body, seen.model, seen)
        if fault and fault.kind is FaultKind.BAD_JSON:
            seen.end(Outcome.FAULTED, fault.kind)
            return Response("<html>upstream</html>", media_type="text/html")
        answered = self._kind.answer(raw, parameters)
        seen.end(Outcome.ANSWERED)
        return JSONResponse(answered.body, headers=dict(answered.headers))
