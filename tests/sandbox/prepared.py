"""What documented requests take for granted, made before each: projects, people, items with their past, nodes, teams.

Where the service gives an id, and the stand-in works it out, the stand-in's takes the place of the documented one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.config import ADA, Account, Organisation
from pointsman.sandbox.azure_devops.directory import Directory
from pointsman.sandbox.azure_devops.documents import parse
from pointsman.sandbox.azure_devops.git_state import Code
from pointsman.sandbox.azure_devops.rules import TREES
from pointsman.sandbox.azure_devops.state import Item, Relation, World
from pointsman.sandbox.azure_devops.trees import Forest, Node, Team
from tests.sandbox.known import KnownIdentity, KnownProject

ORGANISATION, HOME, PROCESS = "fabrikam", "Documented", "Scrum"
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
ITEM = re.compile(r"/(?:workitems|recyclebin)/(\d+)", re.IGNORECASE)
COMMENT = re.compile(r"/comments/(\d+)", re.IGNORECASE)
NUMBERED = re.compile(r"/(?:updates|revisions)/(\d+)", re.IGNORECASE)
NODE = re.compile(r"/classificationnodes/(areas|iterations)(?:/(.+))?", re.IGNORECASE)
TEAM = re.compile(r"/projects/([^/]+)(?:/teams/([^/]+))?", re.IGNORECASE)
FILE = re.compile(rf"/attachments/({UUID})", re.IGNORECASE)


class Ground:
    """A world that nobody has been in, for one request after another."""

    def __init__(self, world: World, token: str) -> None:
        self.world = world
        self._token = token
        self._config, self._organisations = world.config, dict(world.organisations)
        self._processes = dict(world.processes)

    def clear(self) -> None:
        world = self.world
        world.config, world.organisations = self._config, dict(self._organisations)
        world.processes, world.code, world.directory = dict(self._processes), Code(), Directory()
        world.items.clear()
        world.files.clear()
        world.teams.clear()
        world.forest = Forest()

    @property
    def organisation(self) -> Organisation:
        return self.world.organisations[ORGANISATION]

    def project(self, name: str) -> str:
        """A project by the name or id that a request gives it; its name."""
        found = self.organisation.project(name)
        if found is None:
            known = name.lower() if re.fullmatch(UUID, name) else ""
            found = KnownProject(name=f"Project {name[:8]}" if known else name, process=PROCESS, known_id=known)
            self.world.add_project(self.organisation, found)
        return found.name

    def person(self, **known: str) -> KnownIdentity:
        """Somebody with what is known of them: `known_id`, `known_descriptor`, `unique_name`, `display_name`."""
        name = next(iter(known.values()))
        made = KnownIdentity.model_validate({"unique_name": f"{name}@fabrikam.example", "display_name": name, **known})
        self.world.config = self.world.config.model_copy(update={"people": (*self.world.config.people, made)})
        return made

    def asks(self, person: KnownIdentity) -> None:
        """Whoever asks from now on is this person."""
        account = Account(token=SecretStr(self._token), identity=person)
        accounts = [one for one in self._config.accounts if one.token.get_secret_value() != self._token]
        self.world.config = self.world.config.model_copy(update={"accounts": (*accounts, account)})


class PreparedWork:
    """Items, comments, files, nodes and teams."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._links = count(1)

    @property
    def _world(self) -> World:
        return self._ground.world

    def for_request(self, project: str, path: str, query: Mapping[str, str], body: Json) -> None:
        if "/wit/" in path.lower():
            home = self._home(body) or project or self._ground.project(HOME)
            binned = "/recyclebin" in path.lower()
            if named := ITEM.search(path):
                self._as_asked(self._item(int(named[1]), home, body), path, body)
            given = body.get("ids") if isinstance(body, dict) else None
            ids = given if isinstance(given, list) else query.get("ids", "").split(",")
            for one in (str(one) for one in ids if str(one).strip().isdecimal()):
                self._binned(self._item(int(one), home), binned)
            if binned and not named:
                self._binned(self._item(1, home), binned)
            if "asOf" in query:
                self._made_long_ago()
        self._places(project, path, body)

    def _made_long_ago(self) -> None:
        for item in self._world.items_of(self._ground.organisation).values():
            item.updates[0].at = "2000-01-01T00:00:00Z"

    def _home(self, body: Json) -> str:
        """The project of the nodes that a document puts the item into, which are made."""
        home = ""
        for operation in _operations(body):
            if group := TREES.get(str(operation.get("path")).removeprefix("/fields/")):
                first, *names = str(operation.get("value")).split("\\")
                home = self._ground.project(first)
                self._world.forest.plant(ORGANISATION, home, group, names)
        return home

    def _item(self, number: int, project: str, body: Json = None) -> Item:
        items = self._world.items_of(self._ground.organisation)
        if number not in items:
            becomes = {str(one.get("value")) for one in _operations(body) if str(one.get("path")).endswith("ItemType")}
            process = self._world.process_of(self._ground.organisation, project)
            kind = process.kinds["Bug" if "Task" in becomes else "Task"]
            document = parse([{"op": "add", "path": "/fields/System.Title", "value": "Documented"}])
            made, _ = edits.create(self._world, self._ground.organisation, project, kind, document, ADA)
            items[number] = items.pop(made.id)
            made.id = number
            self._world.items[ORGANISATION] = dict(sorted(items.items()))
        return self._world.items[ORGANISATION][number]

    def _as_asked(self, item: Item, path: str, body: Json) -> None:
        """In the recycle bin or out of it, with the comment, the update, the revision and the links that are named."""
        self._binned(item, "/recyclebin" in path.lower())
        if said := COMMENT.search(path):
            edits.comment(self._world, item, "<p>Documented</p>", ADA)
            item.comments[-1].id = int(said[1])
        if numbered := NUMBERED.search(path):
            self._up_to(item, int(numbered[1]))
        for operation in _operations(body):
            self._for_operation(item, operation)

    def _for_operation(self, item: Item, operation: Mapping[str, Json]) -> None:
        path, value = str(operation.get("path")), operation.get("value")
        if operation.get("op") == "test" and path == "/rev" and isinstance(value, int):
            self._up_to(item, value)
        index = re.match(r"/relations/(\d+)", path)
        while index and len(item.relations) <= int(index[1]):
            item.relations.append(Relation("Hyperlink", url=f"https://pages.example/{next(self._links)}"))
        if path == "/relations/-" and isinstance(value, dict) and (linked := ITEM.search(str(value.get("url")))):
            self._item(int(linked[1]), item.project)
        if path == "/fields/System.TeamProject":
            self._ground.project(str(value))

    def _up_to(self, item: Item, number: int) -> None:
        while item.rev < number:
            title: Json = {"op": "add", "path": "/fields/System.Title", "value": f"Documented {item.rev}"}
            edits.patch(self._world, item, parse([title]), ADA)

    def _binned(self, item: Item, wanted: bool) -> None:
        if wanted:
            edits.delete(self._world, item, ADA)

    def _places(self, project: str, path: str, body: Json) -> None:
        if held := FILE.search(path):
            self._world.files[held[1].lower()] = b"Documented"
        if node := NODE.search(path):
            self._world.forest.plant(ORGANISATION, project, node[1].lower(), (node[2] or "").split("/") * bool(node[2]))
        if (team := TEAM.search(path)) and team[2]:
            found_project = self._ground.organisation.project(team[1])
            assert found_project is not None
            first = Team(f"{found_project.name} Team", "")
            self._world.teams[found_project.id_in(ORGANISATION)] = [first, replace(first, name=team[2])]

    def node(self, project: str, path: str, number: int) -> None:
        """Somewhere below the root a node of the number that a request tells of."""
        if node := NODE.search(path):
            root = self._world.forest.root(ORGANISATION, project, node[1].lower())
            root.children.append(Node(number, f"Numbered {number}"))


def _operations(body: Json) -> Iterator[dict[str, Json]]:
    yield from (one for one in body if isinstance(one, dict)) if isinstance(body, list) else ()
