"""What is wrong with Microsoft's specifications of processes, people and the audit log, beside what `overlay` knows."""

from tests.sandbox.overlay import Correction, Schema, operations, part

CREATION = (
    "GraphGroupVstsCreationContext",
    "GraphGroupOriginIdCreationContext",
    "GraphGroupMailAddressCreationContext",
)


def _new_groups(document: Schema) -> None:
    definitions = part(document, "definitions")
    if any(name in definitions for name in CREATION):
        properties = part(definitions, "GraphGroupCreationContext", "properties")
        for name in CREATION:
            properties |= part(definitions, name, "properties")


def _memberships(document: Schema) -> None:
    for _, method, operation in operations(document):
        if method == "put" and operation.get("operationId") == "Memberships_Add":
            part(operation, "responses")["201"] = part(operation, "responses", "200")


def _identities(document: Schema) -> None:
    definitions = part(document, "definitions")
    if "IdentityDescriptor" in definitions:
        definitions["IdentityDescriptor"] = {"type": "string", "pattern": "^[^;]+;.+$"}
        value: Schema = {"type": "object", "required": ["$type", "$value"]}
        definitions["PropertiesCollection"] = {"type": "object", "additionalProperties": value}


PEOPLE_CORRECTIONS = (
    Correction(
        "new groups", "a group is made with a name, a mail address or an origin; only its key is described", _new_groups
    ),
    Correction("memberships", "whoever is added is answered with 201, and said to be answered with 200", _memberships),
    Correction(
        "identities",
        "descriptors are texts and properties a map of typed values; both are typed as objects",
        _identities,
    ),
)
