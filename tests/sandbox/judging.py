"""What judges the stand-in: Microsoft's corrected specifications where they are at hand, our own table anywhere."""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

import httpx2
from jsonschema import Draft7Validator
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from tests.sandbox.overlay import Correction, Schema, correct, operations, parameters, part

TABLE = Path(__file__).with_name("operations.json")
FILES = ("wit/workItemTracking.json", "hooks/serviceHooks.json", "core/core.json")
BYTES = "application/octet-stream"
UNSPECIFIED = ("connectiondata", "$batch")
"""Operations that Microsoft publishes nothing about."""
_SCHEMA = TypeAdapter(dict[str, Json])


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `path` is as sent, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    authorised: bool
    body: Json
    status: int
    answer: Json
    is_file: bool = False
    """The answer is a file, which is of no shape."""

    @classmethod
    def of(cls, response: httpx2.Response) -> "Exchange":
        request = response.request
        url = urlsplit(str(request.url))
        content_type = request.headers.get("content-type", "").partition(";")[0]
        is_file = response.headers.get("content-type", "").startswith(BYTES)
        return cls(
            method=request.method,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            content_type=content_type,
            authorised=request.headers.get("authorization", "").startswith("Basic "),
            body=json.loads(request.content) if request.content and content_type != BYTES else None,
            status=response.status_code,
            answer=response.json() if response.content and not is_file else None,
            is_file=is_file,
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict(self.query)} -> {self.status}"


@dataclass(frozen=True)
class Rule:
    """An operation as a judge sees it. `places` and `query` hold the types of what stands there."""

    name: str
    method: str
    pattern: re.Pattern[str]
    places: Mapping[str, Schema]
    query: Mapping[str, Schema]
    required: frozenset[str]
    content_type: str
    body: Schema | None
    answers: Mapping[str, Schema | None]
    shapes: Schema = field(default_factory=dict)

    def complaints(self, exchange: Exchange) -> list[str]:
        """What is wrong with the request."""
        found = [f"query parameter {name} is missing" for name in self.required - exchange.query.keys()]
        found += [f"unknown query parameter {name}" for name in exchange.query.keys() - self.query.keys()]
        known = {name: value for name, value in exchange.query.items() if name in self.query}
        found += [why for name, value in known.items() for why in _text_faults(name, value, self.query[name])]
        match = self.pattern.fullmatch(exchange.path)
        places = match.groupdict(default="") if match else {}
        for name, value in ((name, value) for name, value in places.items() if value):
            found += _text_faults(name, unquote(value), self.places.get(name, {}))
        if self.body is not None:
            if exchange.content_type != BYTES:  # a file is of no shape
                found += _faults(self.body, self.shapes, exchange.body)
            if exchange.content_type != self.content_type:
                found.append(f"content type {exchange.content_type!r}, not {self.content_type!r}")
        return found + ([] if exchange.authorised else ["no basic authentication"])

    def faults(self, exchange: Exchange) -> list[str]:
        """What is wrong with the answer."""
        key = str(exchange.status) if str(exchange.status) in self.answers else "default"
        if exchange.status < 400 and key == "default":
            return [f"status {exchange.status} is not one of {sorted(self.answers)}"]
        schema = self.answers[key]
        return [] if schema is None or exchange.is_file else _faults(schema, self.shapes, exchange.answer)


class Judge(Protocol):
    name: str

    def covers(self, exchange: Exchange) -> bool:
        """True unless the judge has no opinion about such operations at all."""

    def rules(self, exchange: Exchange) -> list[Rule]:
        """Operations that the request may be meant for."""


class Specifications:
    """Microsoft's files below `folder`, corrected."""

    name = "specifications"

    def __init__(self, folder: Path, files: Sequence[str] = FILES, more: Sequence[Correction] = ()) -> None:
        documents = [load(folder, name) for name in files]
        for correction in more:
            for document in documents:
                correction.apply(document)
        self._rules = [rule for document in documents for rule in _specified(correct(document))]

    def covers(self, exchange: Exchange) -> bool:
        return exchange.path.lower().rsplit("/", 1)[-1] not in UNSPECIFIED

    def rules(self, exchange: Exchange) -> list[Rule]:
        return _fitting(self._rules, exchange)


class Table:
    """Our own table of the operations that we use."""

    name = "table"

    def __init__(self, path: Path = TABLE) -> None:
        document = _SCHEMA.validate_json(path.read_text())
        rows = document["operations"]
        assert isinstance(rows, list)
        self._rules = [_tabled(part(row), part(document, "shapes")) for row in rows]

    @property
    def names(self) -> list[str]:
        return [rule.name for rule in self._rules]

    def covers(self, exchange: Exchange) -> bool:
        return True

    def rules(self, exchange: Exchange) -> list[Rule]:
        return _fitting(self._rules, exchange)


def unlike(exchanges: Iterable[Exchange], judge: Judge) -> list[str]:
    """What is not as known: requests that no rule takes, answers that none of those rules allows."""
    wrong: list[str] = []
    for exchange in exchanges:
        found = judge.rules(exchange)
        rules = [rule for rule in found if not rule.complaints(exchange)]
        if not rules:
            wrong.append(f"{exchange}: {[rule.complaints(exchange) for rule in found] or 'no such path'}")
        elif all(rule.faults(exchange) for rule in rules):
            wrong.append(f"{exchange}: {[rule.faults(exchange) for rule in rules]}")
    return wrong


def used(exchanges: Iterable[Exchange], table: Table) -> list[str]:
    """Names of the table's rows that a request or more is of."""
    return sorted({rule.name for exchange in exchanges for rule in table.rules(exchange)})


def needless(corrections: Iterable[Correction], documents: list[Schema]) -> list[str]:
    """Corrections that find nothing to correct."""
    idle: list[str] = []
    for correction in corrections:
        before = copy.deepcopy(documents)
        for document in documents:
            correction.apply(document)
        idle += [correction.name] if documents == before else []
    return idle


def load(folder: Path, name: str) -> Schema:
    """One of Microsoft's files. Each begins with a byte order mark, which JSON does not have."""
    return _SCHEMA.validate_json((folder / "specs" / name).read_text(encoding="utf-8-sig"))


def _fitting(rules: Iterable[Rule], exchange: Exchange) -> list[Rule]:
    return [rule for rule in rules if rule.method == exchange.method and rule.pattern.fullmatch(exchange.path)]


def _specified(document: Schema) -> Iterator[Rule]:
    shapes = {"definitions": document.get("definitions")}
    for path, method, operation in operations(document):
        given = list(parameters(document, operation))
        body = next((part(item, "schema") for item in given if item.get("in") == "body"), None)
        queries = {str(item["name"]): item for item in given if item.get("in") == "query"}
        consumes = operation.get("consumes")
        yield Rule(
            name=str(operation.get("operationId")),
            method=method.upper(),
            pattern=_pattern(path.partition("?")[0]),
            places={str(item["name"]): item for item in given if item.get("in") == "path"},
            query=queries,
            required=frozenset(name for name, item in queries.items() if item.get("required")),
            content_type=str(consumes[0]) if isinstance(consumes, list) else "",
            body=body,
            answers={status: part(answer, "schema") or None for status, answer in part(operation, "responses").items()},
            shapes=shapes,
        )


def _tabled(row: Schema, shapes: Schema) -> Rule:
    query: Schema = {"api-version": {"pattern": str(row["version"])}, **part(row, "query")}
    required = row.get("required", [])
    assert isinstance(required, list)
    refusal: Schema = {"$ref": "#/shapes/refusal"}
    answers = {str(row["status"]): part(row, "answer") or None, "default": refusal}
    return Rule(
        name=str(row["name"]),
        method=str(row["method"]),
        pattern=_pattern(str(row["path"])),
        places=_objects_of(part(row, "places")),
        query=_objects_of(query),
        required=frozenset({"api-version", *(str(name) for name in required)}),
        content_type=str(row.get("content_type", "")),
        body=part(row, "body") or None,
        answers=answers,
        shapes={"shapes": shapes},
    )


def _objects_of(schema: Mapping[str, Json]) -> dict[str, Schema]:
    return {name: part(value) for name, value in schema.items()}


def _pattern(path: str) -> re.Pattern[str]:
    """A path as a pattern: `{name}` is one segment, `[...]` may be absent, case does not matter."""
    source = re.escape(path).replace(r"\[", "(?:").replace(r"\]", ")?")
    source = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", source)
    return re.compile(source.replace(r"\$", "[$]"), re.IGNORECASE)


def _faults(schema: Schema, shapes: Schema, value: Json) -> list[str]:
    validator = Draft7Validator({"allOf": [schema], **shapes})
    return [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(value)]


def _text_faults(name: str, value: str, schema: Schema) -> list[str]:
    """A value of path or query, which is text whatever its type."""
    kind, allowed, pattern = schema.get("type"), schema.get("enum"), schema.get("pattern")
    if kind == "integer" and not re.fullmatch(r"-?\d+", value):
        return [f"{name}={value!r} is no integer"]
    if kind == "boolean" and value.lower() not in ("true", "false"):
        return [f"{name}={value!r} is no boolean"]
    if schema.get("format") == "uuid" and not _is_uuid(value):
        return [f"{name}={value!r} is no uuid"]
    if isinstance(allowed, list) and value not in allowed:
        return [f"{name}={value!r} is not one of {allowed}"]
    if isinstance(pattern, str) and not re.fullmatch(pattern, value):
        return [f"{name}={value!r} is not like {pattern}"]
    return []


def _is_uuid(value: str) -> bool:
    try:
        return bool(UUID(value))
    except ValueError:
        return False
