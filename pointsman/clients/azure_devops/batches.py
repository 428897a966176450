"""Several writes in one request. Each stands or falls alone: nothing is atomic beyond one item."""

import json
from collections.abc import Mapping, Sequence

import httpx2
from pydantic import Field, TypeAdapter, ValidationError

from pointsman.clients.azure_devops.answers import Answer, WorkItem
from pointsman.clients.azure_devops.connection import JSON_PATCH, Connection
from pointsman.clients.azure_devops.errors import refusal
from pointsman.clients.azure_devops.patches import Operation
from pointsman.contracts.base import Json
from pointsman.domain.texts import read_json
from pointsman.ports import Rejected, Unavailable

BATCH_MAX = 200
PATH, VERSION = "_apis/wit/$batch", "5.0"  # not in the published specification; 5.0 is what its users send
_BODY: TypeAdapter[Json] = TypeAdapter(Json)

Written = WorkItem | Rejected | Unavailable


class _Part(Answer):
    code: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: Json = None


class _Parts(Answer):
    value: list[_Part] = Field(default_factory=list)


class BatchesApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def patch(self, changes: Mapping[int, Sequence[Operation]]) -> dict[int, Written]:
        """Change several items, 200 a request: what became of each, an error of ours where it was not written.

        Raises:
            Unavailable: a request got no answer; its items, and those behind it, are in doubt or untouched: read them.
        """
        written: dict[int, Written] = {}
        wanted = list(changes)
        for start in range(0, len(wanted), BATCH_MAX):
            ids = wanted[start : start + BATCH_MAX]
            body = _BODY.validate_python([_request(item_id, changes[item_id]) for item_id in ids])
            parts = await self._connection.call(_Parts, "PATCH", PATH, body=body, version=VERSION)
            if len(parts.value) != len(ids):
                raise Rejected(
                    f"PATCH {PATH}: {len(ids)} changes were sent and {len(parts.value)} answered; read the items "
                    f"{ids[0]} to {ids[-1]} before writing again",
                    "UnexpectedAnswer",
                )
            written |= {item_id: _written(item_id, part) for item_id, part in zip(ids, parts.value, strict=True)}
        return written


def _request(item_id: int, operations: Sequence[Operation]) -> dict[str, Json]:
    return {
        "method": "PATCH",
        "uri": f"/_apis/wit/workitems/{item_id}?api-version={VERSION}",
        "headers": {"Content-Type": JSON_PATCH},
        "body": _BODY.validate_python(list(operations)),
    }


def _written(item_id: int, part: _Part) -> Written:
    """The answer of one write: its body is JSON in a text, or JSON as it is."""
    what = f"PATCH {PATH}, item {item_id}"
    text = part.body if isinstance(part.body, str) else json.dumps(part.body)
    if not 200 <= part.code < 300:
        request = httpx2.Request("PATCH", f"https://batch.invalid/{item_id}")
        return refusal(httpx2.Response(part.code, headers=part.headers, content=text.encode(), request=request), what)
    try:
        return WorkItem.model_validate(read_json(text))
    except (ValueError, ValidationError):
        return Rejected(f"{what}: written, with an answer of another shape; read the item", "UnexpectedAnswer")
