"""What documented requests about people, processes and subscriptions take for granted."""

import re
from collections.abc import Mapping
from dataclasses import replace

from pydantic import SecretStr

from pointsman.sandbox.azure_devops.config import ADA, Principal
from pointsman.sandbox.azure_devops.delivery import Deliverer
from pointsman.sandbox.azure_devops.directory import scope_descriptor
from pointsman.sandbox.azure_devops.process import PROCESSES, Field, Shape
from pointsman.sandbox.azure_devops.subscriptions import Subscription
from tests.sandbox.known import KnownGroup, KnownIdentity
from tests.sandbox.prepared import HOME, ORGANISATION, UUID, Ground

SUBJECTS = re.compile(r"/graph/(users|groups|serviceprincipals|storagekeys|membershipstates)/([^/]+)", re.IGNORECASE)
MEMBERSHIP = re.compile(r"/graph/memberships/([^/]+)(?:/([^/]+))?", re.IGNORECASE)
KEY = re.compile(rf"/graph/descriptors/({UUID})", re.IGNORECASE)
PROCESS = re.compile(rf"/processes?/({UUID})(?:/workitemtypes/([^/]+)(?:/fields/([^/]+))?)?", re.IGNORECASE)
PROCESSES_PATH = re.compile(r"/(?:work/processes|process/processes)/", re.IGNORECASE)
SUBSCRIPTION = re.compile(rf"/hooks/subscriptions/({UUID})", re.IGNORECASE)
JAMAL = {"unique_name": "fabrikamfiber4@hotmail.com", "display_name": "Jamal Hartnett"}
"""Whom the examples assign work to."""
GROUPS = ("vssgp.", "aadgp.", "twljcm9zb2z0llrlyw1gb3v")
"""How descriptors of groups begin, those of old versions among them."""


class PreparedPeople:
    def __init__(self, ground: Ground, deliverer: Deliverer) -> None:
        self._ground = ground
        self._deliverer = deliverer

    def for_request(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, str]:
        """Make who and what is named; the query with the stand-in's own ids in it."""
        self._ground.person(**JAMAL)
        self._deliverer.subscriptions.clear()
        if subject := SUBJECTS.search(path):
            self._subject(subject[2].lower())
        if container := query.get("groupDescriptors"):
            self._subject(container.lower())
        if key := KEY.search(path):
            self._ground.person(known_id=key[1].lower())
        if membership := MEMBERSHIP.search(path):
            self._membership(method, membership[1].lower(), (membership[2] or "").lower())
        if PROCESSES_PATH.search(path) and (process := PROCESS.search(path)):
            self._process(process[1].lower(), process[2] or "", process[3] or "")
        if held := SUBSCRIPTION.search(path):
            self._subscription(held[1].lower())
        own = {"scopeDescriptor": self._scope() if "scopeDescriptor" in query else "", "continuationToken": "1"}
        return {name: own.get(name, value) for name, value in query.items()}

    def _subject(self, descriptor: str) -> None:
        if descriptor.startswith(GROUPS):
            self._ground.world.directory.add(
                KnownGroup(ORGANISATION, "", descriptor[-12:], "", known_descriptor=descriptor)
            )
        elif descriptor.startswith("aadsp."):
            self._machine(descriptor)
        else:
            self._ground.person(known_descriptor=descriptor)

    def _machine(self, descriptor: str) -> None:
        who = KnownIdentity(unique_name="machine", display_name="Machine", known_descriptor=descriptor)
        principal = Principal(tenant_id="tenant", client_id="client", secret=SecretStr("secret"), identity=who)
        world = self._ground.world
        world.config = world.config.model_copy(update={"principals": (principal,)})

    def _membership(self, method: str, member: str, container: str) -> None:
        self._subject(member)
        if container:
            self._subject(container)
        if container and method != "PUT":
            self._ground.world.directory.members[(member, container)] = None

    def _process(self, number: str, kind_name: str, field_name: str) -> None:
        """A process derived from Scrum, with the type and the field that are named."""
        if any(one.type_id == number for one in self._ground.world.processes.values()):
            return
        base = PROCESSES["Scrum"]
        kinds = dict(base.kinds)
        if kind_name and all(kind.reference_name.lower() != kind_name.lower() for kind in kinds.values()):
            kinds["Bug"] = replace(kinds["Bug"], reference_name=kind_name)
        if field_name and field_name not in kinds["Bug"].fields:
            fields = {**kinds["Bug"].fields, field_name: Field("Documented", Shape.STRING)}
            kinds = {name: replace(kind, fields=fields) for name, kind in kinds.items()}
        made = replace(base, name="Documented", type_id=number, parent=base.type_id, kinds=kinds)
        self._ground.world.processes["Documented"] = made

    def _subscription(self, number: str) -> None:
        at = self._ground.world.clock.now()
        made = Subscription(
            self._ground.organisation,
            "workitem.created",
            "1.0",
            {},
            {"url": "http://127.0.0.1:9/hook"},
            ADA,
            at,
            ADA,
            at,
            id=number,
        )
        self._deliverer.subscriptions[number] = made

    def _scope(self) -> str:
        name = self._ground.project(HOME)
        project = self._ground.organisation.project(name)
        assert project is not None
        return scope_descriptor(self._ground.organisation, project)
