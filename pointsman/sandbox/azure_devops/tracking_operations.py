"""Queries, and who one is."""

from collections.abc import Sequence

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import wiql, wiql_links
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.linked import linked_items
from pointsman.sandbox.azure_devops.process import FIELDS


def query(call: Call) -> Reply:
    text = call.body.get("query") if isinstance(call.body, dict) else None
    if not isinstance(text, str):
        raise invalid("The request is invalid: query must be a text.")
    context = wiql.Context(call.project, call.identity, call.world.clock.moment())
    if wiql_links.asks_for_links(text):
        return _links(call, wiql_links.parse_links(text, context))
    parsed = wiql.parse(text, context)
    found = parsed.run(list(call.world.items_of(call.organisation).values()))
    _require_few(call, len(found))
    top = call.count("$top", call.world.config.query_max)
    return Reply(
        {
            **_head(call, "flat", "workItem", parsed.columns, parsed.order),
            "workItems": [_reference(call, item.id) for item in found[:top]],
        }
    )


def _links(call: Call, parsed: wiql_links.LinkQuery) -> Reply:
    """An item at the top has neither `rel` nor `source`."""
    rows = parsed.run(call.world.items_of(call.organisation))
    _require_few(call, len(rows))
    top = call.count("$top", call.world.config.query_max)
    relations: list[Json] = [
        {
            "rel": row.rel or None,
            "source": _reference(call, row.source) if row.source else None,
            "target": _reference(call, row.target),
        }
        for row in rows[:top]
    ]
    head = _head(call, parsed.query_type, "workItemLink", parsed.columns, parsed.order)
    return Reply({**head, "workItemRelations": relations})


def _head(
    call: Call, query_type: str, result_type: str, columns: Sequence[str], order: Sequence[wiql.Order]
) -> dict[str, Json]:
    return {
        "queryType": query_type,
        "queryResultType": result_type,
        "asOf": call.world.clock.now(),
        "columns": [_column(call, name) for name in columns],
        "sortColumns": [{"field": _column(call, one.field), "descending": one.descending} for one in order],
    }


def _reference(call: Call, item_id: int) -> dict[str, Json]:
    return {"id": item_id, "url": call.links.item(item_id)}


def _require_few(call: Call, count: int) -> None:
    limit = call.world.config.query_max
    if count > limit:
        raise ServiceError(
            400,
            f"VS402337: The number of work items returned exceeds the size limit of {limit}. Change the query to "
            "return fewer items.",
            "WorkItemTrackingQueryResultSizeLimitExceededException",
        )


def linked_to(call: Call) -> Reply:
    """Of each artifact the items that link to it: none is an empty list. In a project only those that it has."""
    uris = call.body.get("artifactUris") if isinstance(call.body, dict) else None
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise invalid("The request is invalid: artifactUris must be a list of URIs.")
    items = call.world.items_of(call.organisation)
    found: dict[str, Json] = {
        uri: [
            _reference(call, item_id)
            for item_id in linked_items(call.world, call.organisation, uri)
            if call.project in ("", items[item_id].project)
        ]
        for uri in map(str, uris)
    }
    return Reply({"artifactUrisQueryResult": found})


def connection_data(call: Call) -> Reply:
    who = _account(call.identity)
    return Reply(
        {
            "authenticatedUser": who,
            "authorizedUser": who,
            "instanceId": call.organisation.collection_id,
            "deploymentId": call.organisation.account_id,
            "deploymentType": "hosted",
            "locationServiceData": {"serviceOwner": "00025394-6065-48ca-87d9-7f5672854ef7", "lastChangeId": 1},
        }
    )


def _column(call: Call, name: str) -> dict[str, Json]:
    return {"referenceName": name, "name": FIELDS[name].name, "url": f"{call.links.tracking}/fields/{name}"}


def _account(identity: Identity) -> dict[str, Json]:
    return {
        "id": identity.id,
        "descriptor": identity.descriptor,
        "subjectDescriptor": identity.descriptor,
        "providerDisplayName": identity.display_name,
        "isActive": True,
        "properties": {"Account": {"$type": "System.String", "$value": identity.unique_name}},
    }


OPERATIONS = (
    Operation("wiql.query", "POST", "wit/wiql", query),
    Operation("artifacts.items", "POST", "wit/artifacturiquery", linked_to),
    Operation("connection.data", "GET", "connectiondata", connection_data, scope="organisation", preview=True),
)
