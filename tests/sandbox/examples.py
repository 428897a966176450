"""Microsoft's documented requests, sent to the stand-in, whose world is first made such as they take for granted.

`python -m tests.sandbox.examples` writes what became of them to `examples.json`, from where the documentation has it.

An answer is valid where the request succeeds and the corrected specification takes what comes back; refused where the
stand-in says no.
"""

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import httpx2
from starlette.routing import Match

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.sandbox import Sandbox
from tests.sandbox.azure import SERVICE_TOKEN, config
from tests.sandbox.judging import Exchange, Specifications, load
from tests.sandbox.overlay import Schema, operations, part
from tests.sandbox.overlay_code import CODE_CORRECTIONS
from tests.sandbox.overlay_people import PEOPLE_CORRECTIONS
from tests.sandbox.prepared import TEAM, UUID, Ground, PreparedWork
from tests.sandbox.prepared_code import PreparedCode
from tests.sandbox.prepared_people import PreparedPeople

AREAS = {
    "wit/workItemTracking.json": "wit",
    "core/core.json": "core",
    "hooks/serviceHooks.json": "hooks",
    "git/git.json": "git",
    "policy/policy.json": "policy",
    "build/build.json": "build",
    "processes/workItemTrackingProcess.json": "processes",
    "graph/graph.json": "graph",
}
FILES = tuple(AREAS)
SUMMARY = Path(__file__).with_name("examples.json")
VERSION = "7.2-preview"
OWN_IDS = re.compile(rf"/(states|rules)/({UUID})", re.IGNORECASE)
"""What the stand-in works out the ids of: its first takes the place of the documented one."""
METHODS = re.compile(r"^(GET|POST|PUT|PATCH|DELETE)__?")


class Outcome(StrEnum):
    VALID = "valid"
    REFUSED = "refused"
    FAULTY = "faulty"
    NOT_PLAYED = "not played"


@dataclass(frozen=True)
class Played:
    """What became of an example. `operation` is the stand-in's name of it, `why` says why its answer is not valid."""

    example: "Example"
    operation: str
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True)
class Example:
    """One documented request. `path` begins with the organisation, which is `fabrikam` always."""

    area: str
    operation: str
    name: str
    method: str
    path: str
    query: Mapping[str, str]
    body: Json
    content_type: str

    def __str__(self) -> str:
        return f"{self.area} {self.operation} ({self.name}): {self.method} {self.path}"


def examples(folder: Path) -> Iterator[Example]:
    """All that the specifications of the areas name and that are there, in the order of the files."""
    for file, area in AREAS.items():
        held = {path.name.lower(): path for path in sorted((folder / "examples" / area).rglob("*.json"))}
        for method, operation in _operations(load(folder, file)):
            for name, reference in part(operation, "x-ms-examples").items():
                file_name = str(part(reference)["$ref"]).rsplit("/", 1)[-1].lower() if reference else ""
                if file_name in held:
                    yield from _example(area, method, operation, name or "first", held[file_name])


def _operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    seen = set()
    paths = {**part(document, "paths"), **part(document, "x-ms-paths")}
    for _, method, operation in operations({"paths": paths}):
        if (key := (str(operation.get("operationId")), method)) not in seen:
            seen.add(key)
            yield method.upper(), operation


def _example(area: str, method: str, operation: Schema, name: str, path: Path) -> Iterator[Example]:
    """Its own method counts: some stand at an operation of another."""
    document: dict[str, Json] = json.loads(path.read_text("utf-8-sig"))
    parameters = part(document, "parameters")
    url = urlsplit(str(document.get("x-ms-vss-request-url", "")))
    place = url.path.strip("/").split("/")
    if "_apis" not in place:
        return
    query = {key: value for key, value in parse_qsl(url.query, keep_blank_values=True) if key != "api-version"}
    stated = METHODS.match(path.stem)
    consumes = operation.get("consumes")
    content = str(consumes[0]) if isinstance(consumes, list) and consumes else "application/json"
    yield Example(
        area=area,
        operation=str(operation.get("operationId")),
        name=f"{name} {path.stem}",
        method=str(document.get("x-ms-vss-request-method") or (stated[1] if stated else method)),
        path="/" + "/".join(["fabrikam", *(unquote(one) for one in place[1:])]),
        query=query,
        body=parameters.get("body", parameters.get("patchDocument")),
        content_type=content,
    )


class Stage:
    """One stand-in, in process, that plays example after example, each in a world made for it."""

    def __init__(self, folder: Path) -> None:
        self._app = create_app(config())
        sandbox: Sandbox = self._app.state.sandbox
        self._judge = Specifications(folder, FILES, (*CODE_CORRECTIONS, *PEOPLE_CORRECTIONS))
        self._ground = Ground(sandbox.world, SERVICE_TOKEN)
        self._work, self._code = PreparedWork(self._ground), PreparedCode(self._ground)
        self._people = PreparedPeople(self._ground, sandbox.deliverer)
        transport = httpx2.ASGITransport(app=self._app)
        self._http = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:80", auth=("", SERVICE_TOKEN))

    def operation(self, example: Example) -> str:
        """The stand-in's own name of the operation; empty where it has none."""
        head, _, tail = example.path.partition("/_apis/")
        scope = {"type": "http", "method": example.method, "path": f"{head}/_apis/{tail.lower()}", "headers": []}
        for route in self._app.router.routes:
            name = getattr(route, "name", "")
            if "." in name and route.matches(scope)[0] is Match.FULL:
                return str(name)
        return ""

    async def play(self, example: Example) -> Played:
        operation = self.operation(example)
        if not operation:
            return Played(example, operation, Outcome.NOT_PLAYED)
        response = await self._send(self._prepared(example))
        if response.status_code < 300:
            why = self._faults(response)
            return Played(example, operation, Outcome.FAULTY if why else Outcome.VALID, why)
        refusal = response.json() if response.status_code < 500 and response.content else {}
        outcome = Outcome.REFUSED if "typeKey" in refusal else Outcome.FAULTY
        return Played(example, operation, outcome, str(refusal.get("message") or response.status_code))

    def _prepared(self, example: Example) -> Example:
        self._ground.clear()
        query = self._people.for_request(example.method, example.path, example.query)
        named = example.path.split("/_apis/")[0].split("/")[2:3]
        project = self._ground.project(named[0]) if named else ""
        for one in _projects(example):
            self._ground.project(one)
        self._work.for_request(project, example.path, example.query, example.body)
        for number in (example.query.get("$reclassifyId"), part(example.body).get("id")):
            if str(number or "").isdecimal():
                self._work.node(project, example.path, int(str(number)))
        self._code.for_request(project, example.method, example.path, query, example.body)
        return replace(example, query=query)

    async def _send(self, example: Example) -> httpx2.Response:
        path = example.path
        if owned := OWN_IDS.search(path):
            listed = await self._http.get(f"{path[: owned.start(2) - 1]}?api-version={VERSION}")
            path = f"{path[: owned.start(2)]}{listed.json()['value'][0]['id']}"
        url = f"{path}?{urlencode({**example.query, 'api-version': VERSION})}"
        if example.method in ("GET", "DELETE"):
            return await self._http.request(example.method, url)
        content = example.body.encode() if isinstance(example.body, str) else json.dumps(example.body).encode()
        return await self._http.request(
            example.method, url, content=content, headers={"Content-Type": example.content_type}
        )

    def _faults(self, response: httpx2.Response) -> str:
        """What is wrong with an answer, by all operations that the request may be meant for; empty: nothing."""
        exchange = Exchange.of(response)
        faults = {rule.name: rule.faults(exchange) for rule in self._judge.rules(exchange)}
        return "" if [] in faults.values() else str(faults or "no such path")


def _projects(example: Example) -> Iterator[str]:
    """Projects that are named elsewhere than before `_apis`."""
    if found := TEAM.search(example.path):
        yield found[1]
    body = part(example.body)
    for named in (part(body, "publisherInputs").get("projectId"), part(body, "project").get("id")):
        if isinstance(named, str) and named:
            yield named


async def play_all(folder: Path) -> list[Played]:
    stage = Stage(folder)
    return [await stage.play(example) for example in examples(folder)]


def summary(played: Sequence[Played]) -> dict[str, Json]:
    """What became of all, as the documentation tells it: by our operations, and by documented ones that are none."""
    ours: dict[str, Schema] = {}
    others: dict[str, Schema] = {}
    for one in played:
        documented = one.example.operation
        if one.outcome is Outcome.NOT_PLAYED:
            held = others.setdefault(one.example.area, {})
            held[documented] = int(str(held.get(documented, 0))) + 1
            continue
        row = ours.setdefault(one.operation, {"area": one.example.area, "documented": [], "valid": 0, "examples": 0})
        names = row["documented"]
        assert isinstance(names, list)
        row["documented"] = [*sorted({*(str(name) for name in names), documented})]
        row["examples"] = int(str(row["examples"])) + 1
        row["valid"] = int(str(row["valid"])) + (one.outcome is Outcome.VALID)
    return {"played": {**dict(sorted(ours.items()))}, "not played": {**dict(sorted(others.items()))}}


if __name__ == "__main__":
    told = summary(asyncio.run(play_all(Path(os.environ["POINTSMAN_AZURE_SPECS"]))))
    SUMMARY.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
