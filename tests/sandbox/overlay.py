"""What is wrong with Microsoft's published specifications of REST 7.1, and how it is put right before we judge by them.

Each correction was met: without it, requests that the service takes are refused, or answers that it gives fail.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from pointsman.contracts.base import Json

Schema = dict[str, Json]
METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Correction:
    name: str
    reason: str
    apply: Callable[[Schema], None]


def correct(document: Schema) -> Schema:
    for correction in CORRECTIONS:
        correction.apply(document)
    return document


def part(node: Json, *names: str) -> Schema:
    """The object at the place; an empty one where there is none."""
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """(path, method, operation) of all there are."""
    for path, methods in part(document, "paths").items():
        for method in METHODS:
            if operation := part(methods, method):
                yield path, method, operation


def parameters(document: Schema, operation: Schema) -> Iterator[Schema]:
    """Parameters of an operation, those that it only refers to included."""
    listed = operation.get("parameters")
    for parameter in listed if isinstance(listed, list) else []:
        reference = part(parameter).get("$ref")
        yield part(document, "parameters", reference.split("/")[-1]) if isinstance(reference, str) else part(parameter)


def _objects(node: Json) -> Iterator[Schema]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _objects(child)
    elif isinstance(node, list):
        for child in node:
            yield from _objects(child)


def _schemas(document: Schema) -> Iterator[Schema]:
    """Everything below the definitions that says how a value looks."""
    yield from _objects(document.get("definitions"))


def _hidden_paths(document: Schema) -> None:
    paths = part(document, "paths")
    for path, methods in part(document, "x-ms-paths").items():
        paths[path] = methods


def _optional_segments(document: Schema) -> None:
    paths = part(document, "paths")
    for path, method, operation in list(operations(document)):
        names = [str(p["name"]) for p in parameters(document, operation) if p.get("x-ms-required") is False]
        for count in range(1, len(names) + 1):
            for absent in combinations(names, count):
                shorter = path
                for name in absent:
                    shorter = shorter.replace(f"/{{{name}}}", "")
                methods = part(paths, shorter)
                methods.setdefault(method, operation)
                paths[shorter] = methods


def _any_value(document: Schema) -> None:
    for schema in _schemas(document):
        if schema.get("type") == "object" and not {"properties", "additionalProperties", "allOf"} & schema.keys():
            del schema["type"]


def _patch_documents(document: Schema) -> None:
    definitions = part(document, "definitions")
    if "JsonPatchDocument" in definitions:
        definitions["JsonPatchDocument"] = {"type": "array", "items": {"$ref": "#/definitions/JsonPatchOperation"}}
        part(definitions, "JsonPatchOperation")["required"] = ["op", "path"]


def _links(document: Schema) -> None:
    definitions = part(document, "definitions")
    if "ReferenceLinks" in definitions:
        link: Schema = {"type": "object", "properties": {"href": {"type": "string"}}, "required": ["href"]}
        definitions["ReferenceLinks"] = {"type": "object", "additionalProperties": link}


def _counters(document: Schema) -> None:
    for schema in _schemas(document):
        if schema.get("format") == "byte":
            schema.update(type="integer", format="int32")


def _streams(document: Schema) -> None:
    for schema in _schemas(document):
        if schema.get("format") == "T":
            schema.clear()


def _nulls(document: Schema) -> None:
    for schema in _schemas(document):
        values = schema.get("enum")
        if isinstance(schema.get("type"), str) and "x-ms-vss-request-method" not in schema:
            schema["type"] = [schema["type"], "null"]
        if isinstance(values, list):
            schema["enum"] = [*values, None]


def _merged(document: Schema) -> None:
    definitions = part(document, "definitions")
    for name in list(definitions):
        definitions[name] = _merge(definitions, part(definitions, name))


def _merge(definitions: Schema, schema: Schema) -> Schema:
    bases = schema.get("allOf")
    if not isinstance(bases, list):
        return schema
    properties: Schema = {}
    for base in bases:
        reference = part(base).get("$ref")
        found = part(definitions, reference.split("/")[-1]) if isinstance(reference, str) else part(base)
        properties |= part(_merge(definitions, found), "properties")
    own = {key: value for key, value in schema.items() if key != "allOf"}
    return {**own, "properties": properties | part(schema, "properties")}


def _closed(document: Schema) -> None:
    for schema in _schemas(document):
        if isinstance(schema.get("properties"), dict) and "type" in schema:
            schema.setdefault("additionalProperties", False)


def _wrapped_lists(document: Schema) -> None:
    for _, _, operation in operations(document):
        answer = part(operation, "responses", "200")
        if part(answer, "schema").get("type") == "array":
            items: Json = {"anyOf": [part(answer, "schema", "items"), {"type": "null"}]}
            answer["schema"] = {
                "type": "object",
                "required": ["count", "value"],
                "properties": {"count": {"type": "integer"}, "value": {"type": "array", "items": items}},
            }


def _success_codes(document: Schema) -> None:
    for _, method, operation in operations(document):
        if method == "delete":
            part(operation, "responses")["204"] = {}
        if method == "post":
            part(operation, "responses").setdefault("201", part(operation, "responses", "200"))


def _errors(document: Schema) -> None:
    envelope: Schema = {
        "type": "object",
        "required": ["$id", "innerException", "message", "typeName", "typeKey", "errorCode", "eventId"],
        "properties": {"message": {"type": "string", "minLength": 1}, "typeKey": {"type": "string", "minLength": 1}},
    }
    for _, _, operation in operations(document):
        part(operation, "responses")["default"] = {"schema": envelope}


def _tokens(document: Schema) -> None:
    for _, _, operation in operations(document):
        security = operation.get("security")
        operation["security"] = [*(security if isinstance(security, list) else []), {"accessToken": []}]


CORRECTIONS = (
    Correction(
        "hidden paths", "x-ms-paths holds operations that no tool reads, listing comments for one", _hidden_paths
    ),
    Correction(
        "optional segments", "a project or team marked optional is still demanded by the path", _optional_segments
    ),
    Correction("any value", "values of fields are texts and numbers, but typed as objects", _any_value),
    Correction(
        "patch documents", "a patch is an array, but typed as object; op and path are not optional", _patch_documents
    ),
    Correction("links", "_links maps names to hrefs; the definition has one property called links", _links),
    Correction("counters", "probationRetries is a number, but typed as a text of bytes", _counters),
    Correction("streams", "what is in a batch of a stream depends on the stream, but is typed as a text", _streams),
    Correction("nulls", "the service writes null where there is nothing; no type allows it", _nulls),
    Correction("merged", "properties are spread over allOf, so that nothing can be called unknown", _merged),
    Correction("closed", "no fault, but without it an answer with invented keys would pass", _closed),
    Correction("wrapped lists", "lists come as {count, value}, and hold null for what was omitted", _wrapped_lists),
    Correction(
        "success codes",
        "each success is said to be 200; deletions are 204, creations 201",
        _success_codes,
    ),
    Correction("errors", "refusals are not described at all", _errors),
    Correction("tokens", "operations name OAuth only, though personal access tokens are what most use", _tokens),
)
