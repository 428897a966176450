"""Queries, and who one is."""

from datetime import UTC, datetime

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import wiql
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.process import FIELDS


def query(call: Call) -> Reply:
    text = call.body.get("query") if isinstance(call.body, dict) else None
    if not isinstance(text, str):
        raise invalid("The request is invalid: query must be a text.")
    parsed = wiql.parse(text, wiql.Context(call.project, call.identity, datetime.now(UTC)))
    found = parsed.run(list(call.world.items_of(call.organisation).values()))
    limit = call.world.config.query_max
    if len(found) > limit:
        raise ServiceError(
            400,
            f"VS402337: The number of work items returned exceeds the size limit of {limit}. Change the query to "
            "return fewer items.",
            "WorkItemTrackingQueryResultSizeLimitExceededException",
        )
    top = call.count("$top", limit)
    return Reply(
        {
            "queryType": "flat",
            "queryResultType": "workItem",
            "asOf": call.world.clock.now(),
            "columns": [_column(call, name) for name in parsed.columns],
            "sortColumns": [
                {"field": _column(call, order.field), "descending": order.descending} for order in parsed.order
            ],
            "workItems": [{"id": item.id, "url": call.links.item(item.id)} for item in found[:top]],
        }
    )


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
    Operation("connection.data", "GET", "connectiondata", connection_data, scope="organisation", preview=True),
)
