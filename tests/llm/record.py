"""Keep what requests, answers, messages and events look like: `python -m tests.llm.record`.

Run it after one of them gained a field, and commit what it writes: `recorded/fields.json`, and a new whole sample of
each kind that has fields which no sample has. Samples are never changed: they are what was stored once.
"""

import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

from pointsman.llm import embedder, embeddings, events, types
from pointsman.llm.embedder import Embeddings, InputKind
from pointsman.llm.embeddings import EmbeddingRequest
from pointsman.llm.types import LLMRequest, LLMResponse, Message, Role
from tests.contracts.shapes import Shapes, breaches, shape

FOLDER = Path(__file__).parent / "recorded"
FILE = FOLDER / "fields.json"
COMMAND = "python -m tests.llm.record"
KINDS: Mapping[str, type[BaseModel]] = {
    "request": LLMRequest,
    "response": LLMResponse,
    "embedding_request": EmbeddingRequest,
    "embeddings": Embeddings,
}


def current() -> Shapes:
    """Shapes of all that is stored or sent, by `module.Name`."""
    found: Shapes = {}
    for module in (types, events, embedder, embeddings):
        for name, thing in sorted(vars(module).items()):
            own = isinstance(thing, type) and thing.__module__ == module.__name__
            if own and issubclass(thing, types.Value) and thing is not types.Value:
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = shape(thing)
    return found


def recorded() -> Shapes:
    shapes: Shapes = json.loads(FILE.read_text(encoding="utf-8"))
    return shapes


def samples(kind: str) -> list[Path]:
    """Of the kind, the oldest first."""
    return sorted(FOLDER.glob(f"{kind}-*.json"))


def unseen(kind: str) -> set[str]:
    """Fields of today that no sample of the kind has."""
    seen = {name for file in samples(kind) for name in json.loads(file.read_text(encoding="utf-8"))}
    return set(KINDS[kind].model_fields) - seen


def whole(kind: str) -> BaseModel:
    """One with something in every field, as far as a default says nothing."""
    message = Message(role=Role.USER, parts=(types.TextPart(text="hello"),))
    context = {
        name: name
        for name in ("trace_id", "source_agent", "session_id", "tenant", "user", "work_item")
        if name in KINDS[kind].model_fields
    }
    match kind:
        case "request":
            return LLMRequest.model_validate({"model": "gpt-6-luna", "messages": [message], "stop": ["END"], **context})
        case "response":
            return LLMResponse.model_validate(
                {"message": message, "finish_reason": "stop", "model": "m", "provider": "p"}
            )
        case "embedding_request":
            return EmbeddingRequest(texts=("a",), kind=InputKind.QUERY, model="mistral-embed", dimensions=8, **context)
        case _:
            return Embeddings(vectors=((0.6, 0.8),), model="mistral-embed", provider="mistral", cost_usd=Decimal("0.1"))


def main() -> int:
    """0 when all is written, 1 when something was lost or changed and nothing is."""
    after = current()
    found = breaches(recorded(), after) if FILE.exists() else []
    for fault in found:
        print(f"{fault}: what is stored only gains fields with defaults", file=sys.stderr)
    if found:
        return 1
    FILE.write_text(json.dumps(after, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for kind in KINDS:
        if unseen(kind):
            file = FOLDER / f"{kind}-0.1-{len(samples(kind)) + 1}.json"
            file.write_text(json.dumps(whole(kind).model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
            print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
