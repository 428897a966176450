"""`$batch`: several writes in one request, each with a status of its own. Not in the published specification."""

import json
import re
from dataclasses import replace

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import item_operations
from pointsman.sandbox.azure_devops.calls import JSON_PATCH, Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.item_operations import BATCH_MAX, collection

_ITEM = re.compile(r"/_apis/wit/workitems/(\d+)\?api-version=\d\.\d$", re.IGNORECASE)


def batch(call: Call) -> Reply:
    requests = call.body if isinstance(call.body, list) else []
    if not 0 < len(requests) <= BATCH_MAX:
        raise invalid(f"The request is invalid: a batch has 1 to {BATCH_MAX} requests, not {len(requests)}.")
    return collection([_part(call, request) for request in requests])


def _part(call: Call, request: Json) -> dict[str, Json]:
    """The answer to one request: its body is JSON in a text."""
    try:
        reply = _run(call, request)
    except ServiceError as error:
        reply = Reply(error.body, error.status)
    headers: Json = {"Content-Type": "application/json; charset=utf-8"}
    return {"code": reply.status, "headers": headers, "body": json.dumps(reply.body)}


def _run(call: Call, request: Json) -> Reply:
    wanted = request if isinstance(request, dict) else {}
    headers = wanted.get("headers")
    item = _ITEM.search(str(wanted.get("uri")))
    typed = isinstance(headers, dict) and headers.get("Content-Type") == JSON_PATCH
    if wanted.get("method") != "PATCH" or not item or not typed:
        raise invalid("The stand-in takes only changes of items in a batch.", "NotSupportedException")
    return item_operations.update(replace(call, place={**call.place, "id": item[1]}, body=wanted.get("body")))


OPERATIONS = (Operation("work_items.update_batch", "PATCH", "wit/$batch", batch),)
