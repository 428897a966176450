"""People, projects and groups whose ids somebody else gave: those that Microsoft's examples name."""

from dataclasses import dataclass

from pointsman.sandbox.azure_devops.config import Identity, Project
from pointsman.sandbox.azure_devops.directory import Group


class KnownIdentity(Identity):
    """Each id is worked out as ever where none is given."""

    known_id: str = ""
    known_descriptor: str = ""

    @property
    def id(self) -> str:
        return self.known_id or super().id

    @property
    def descriptor(self) -> str:
        return self.known_descriptor or super().descriptor


class KnownProject(Project):
    known_id: str = ""

    def id_in(self, organisation: str) -> str:
        return self.known_id or super().id_in(organisation)


@dataclass
class KnownGroup(Group):
    known_descriptor: str = ""

    @property
    def descriptor(self) -> str:
        return self.known_descriptor or super().descriptor
