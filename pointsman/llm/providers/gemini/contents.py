"""A conversation as the contents of GenerateContent: turns of user and model, and one instruction of the system.

Signatures of thoughts go back with the part that they came with. Function results are one turn, after the turn of
their calls and in the order of these, because models of older families give calls no ids.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from pointsman.contracts.base import Json
from pointsman.llm.lenient import objects
from pointsman.llm.providers.gemini.traits import Traits
from pointsman.llm.structured import read_arguments
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

# What Google documents for calls that another model made ("Thought signatures", questions).
FOREIGN_SIGNATURE = "skip_thought_signature_validator"
# "FunctionDeclaration": what a name may be made of.
_NOT_IN_NAMES, NAME_CHARS_MAX = re.compile(r"[^A-Za-z0-9_.:-]"), 128
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
Object = dict[str, Json]


def wire_name(name: str) -> str:
    """The tool's name as the API takes it: it begins with a letter or an underscore."""
    plain = _NOT_IN_NAMES.sub("_", name)[: NAME_CHARS_MAX - 1]
    return plain if plain[:1].isalpha() or plain.startswith("_") else f"_{plain}"


class Contents:
    """The conversation of one request. `notes` says what could not go as it is."""

    def __init__(self, request: LLMRequest, provider: str, traits: Traits) -> None:
        self.notes: list[str] = []
        self.system: list[Json] = []
        self.turns: list[Object] = []
        self._traits = traits
        self._wire_ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._called: list[str] = []
        """Call ids of the turn before, and what came back, each with the place of its call."""
        self._ranked: list[tuple[int, Json]] = []
        self._shown: list[Json] = []
        """Images of results, for models that take none within: they follow when all results are there."""
        for message in request.messages:
            self._add(message.for_provider(provider))
        self._add_turn("user", [])
        if not self.turns and self.system:
            self.notes.append("the system prompt went as the user's: there is nothing else to answer")
            self.turns, self.system = [{"role": "user", "parts": self.system}], []

    def _add(self, message: Message) -> None:
        match message.role:
            case Role.SYSTEM:
                if self.turns:
                    self.notes.append("a system message within the conversation went into the system instruction")
                self.system += self._parts(message.parts)
            case Role.ASSISTANT:
                self._add_said(message)
            case _:
                results = [part for part in message.parts if isinstance(part, ToolResultPart)]
                if results:
                    self._add_results(results)
                if others := self._parts(part for part in message.parts if part not in results):
                    self._add_turn("user", others)

    def _add_said(self, message: Message) -> None:
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        parts = self._parts(message.parts)
        self._add_turn("model", parts)
        if calls:
            self._called = [call.call_id for call in calls]
        if calls and self._traits.is_third:
            _sign(self.turns[-1])

    def _add_results(self, results: Sequence[ToolResultPart]) -> None:
        """In the order of their calls, also where each came in a message of its own."""
        order = {call_id: number for number, call_id in enumerate(self._called)}
        if not self.turns or not _is_result(self.turns[-1]["parts"]):
            self._ranked = []
            self.turns.append({"role": "user"})
        for result in results:
            images = [_media(image) for image in result.images or ()]
            wired = self._result(result, images if self._traits.is_third else [])
            self._ranked.append((order.get(result.call_id, len(order)), wired))
            self._shown += [] if self._traits.is_third else images
        self._ranked.sort(key=lambda ranked: ranked[0])
        self.turns[-1]["parts"] = [wired for _, wired in self._ranked]

    def _add_turn(self, role: str, parts: list[Json]) -> None:
        """One more turn, or more of the last one: what the model says on end is one turn."""
        if self._shown:
            self.turns.append({"role": "user", "parts": self._shown})
            self._shown = []
        last = self.turns[-1] if self.turns else {}
        said = last.get("parts")
        if role == "model" and last.get("role") == role and isinstance(said, list):
            said.extend(parts)
        elif parts:
            self.turns.append({"role": role, "parts": parts})

    def _parts(self, parts: Iterable[Part]) -> list[Json]:
        return [wired for part in parts for wired in self._part(part)]

    def _part(self, part: Part) -> Sequence[Json]:
        state = part.provider_state.data if part.provider_state is not None else None
        own: Mapping[str, Json] = state if isinstance(state, dict) else {}
        signed: Object = {"thoughtSignature": own["thoughtSignature"]} if own.get("thoughtSignature") else {}
        match part:
            case TextPart() | RefusalPart():
                return [{"text": part.text, **signed}] if part.text or signed else []
            case ReasoningPart():
                # A summary that is not signed was written for people; to the model it would only be more to read.
                return [{"text": part.text, "thought": True, **signed}] if signed else []
            case ImagePart():
                return [_media(part)]
            case DocumentPart():
                named: list[Json] = [{"text": f"File {part.name}:"}] if part.name else []
                return [*named, _media(part)]
            case ToolCallPart():
                return [{"functionCall": self._call(part, own if isinstance(state, dict) else None), **signed}]
            case ToolResultPart():
                return []

    def _call(self, part: ToolCallPart, own: Mapping[str, Json] | None) -> Object:
        self._names[part.call_id] = wire_name(part.name)
        if own is None:
            self._wire_ids[part.call_id] = _acceptable(part.call_id)
        elif own.get("id"):
            self._wire_ids[part.call_id] = str(own["id"])
        arguments = part.arguments
        if not arguments and part.raw_arguments:
            arguments, broken = read_arguments(part.raw_arguments)
            arguments = {"unreadable": part.raw_arguments} if broken else arguments
        return {**self._id(part.call_id), "name": wire_name(part.name), "args": arguments}

    def _result(self, part: ToolResultPart, images: list[Json]) -> Object:
        told: Json = part.data if part.data is not None and not part.text else part.content
        name = self._names.get(part.call_id) or wire_name(part.name or "function")
        response: Object = {**self._id(part.call_id), "name": name}
        response["response"] = {"error" if part.is_error else "output": told}
        return {"functionResponse": {**response, "parts": images} if images else response}

    def _id(self, call_id: str) -> Object:
        """The id that the API knows the call by; a call that it gave none goes without."""
        return {"id": self._wire_ids[call_id]} if call_id in self._wire_ids else {}


def _sign(turn: Object) -> None:
    """Calls of a model that signed nothing: without the agreed signature the API refuses them."""
    for part in objects(turn.get("parts")):
        if isinstance(part, dict) and "functionCall" in part:
            part.setdefault("thoughtSignature", FOREIGN_SIGNATURE)
            return


def _is_result(parts: Json) -> bool:
    return isinstance(parts, list) and all(isinstance(part, dict) and "functionResponse" in part for part in parts)


def _media(part: ImagePart | DocumentPart) -> Json:
    if part.url:
        return {"fileData": {"mimeType": part.media_type, "fileUri": part.url}}
    return {"inlineData": {"mimeType": part.media_type, "data": b64encode(part.data).decode()}}


def _acceptable(call_id: str) -> str:
    """An id of another provider's, or its hash where it has odd characters: equal ids stay equal."""
    return call_id if _ACCEPTABLE_ID.fullmatch(call_id) else sha256(call_id.encode()).hexdigest()[:32]
