"""Groups of organisations and projects, and who is a member of them. In memory only."""

from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from pointsman.sandbox.azure_devops.config import Identity, Organisation, Project

GROUPS = {
    "Project Administrators": "Members of this group can perform all operations in the project.",
    "Contributors": "Members of this group can add, modify, and delete items within the project.",
    "Readers": "Members of this group have access to the project.",
    "Build Administrators": "Members of this group can create, modify and delete build definitions.",
}
COLLECTION_GROUPS = {
    "Project Collection Administrators": "Members of this group can perform all operations in the organization.",
    "Project Collection Valid Users": "Members of this group have access to the organization.",
}


@dataclass
class Group:
    """`project` is empty for a group of the organisation; one of Entra has an `origin_id` there."""

    organisation: str
    project: str
    name: str
    description: str
    origin_id: str = ""
    storage_key: str = ""

    @property
    def id(self) -> str:
        return self.storage_key or str(
            uuid5(NAMESPACE_URL, f"group/{self.organisation}/{self.project}/{self.name}".lower())
        )

    @property
    def descriptor(self) -> str:
        kind = "aadgp" if self.origin_id else "vssgp"
        return f"{kind}.{uuid5(NAMESPACE_URL, f'descriptor/{self.id}').hex}"

    @property
    def principal_name(self) -> str:
        home = "TEAM FOUNDATION" if self.origin_id else self.project or self.organisation
        return f"[{home}]\\{self.name}"


@dataclass
class Directory:
    """Groups that everybody finds there are made when their project is first looked at."""

    groups: dict[str, Group] = field(default_factory=dict)
    """By descriptor."""
    members: dict[tuple[str, str], None] = field(default_factory=dict)
    """(member, group), in the order in which they came."""
    _known: set[tuple[str, str]] = field(default_factory=set)

    def of(self, organisation: Organisation, everybody: tuple[Identity, ...]) -> list[Group]:
        """Groups of an organisation and of all of its projects. The first of everybody administers all."""
        for project in ("", *(one.name for one in organisation.projects)):
            place = (organisation.name.lower(), project.lower())
            if place not in self._known:
                self._known.add(place)
                self._begin(organisation, project, everybody)
        return [one for one in self.groups.values() if one.organisation == organisation.name]

    def groups_over(self, member: str) -> list[str]:
        return [group for held, group in self.members if held == member]

    def members_below(self, group: str) -> list[str]:
        return [held for held, over in self.members if over == group]

    def add(self, group: Group) -> Group:
        self.groups[group.descriptor] = group
        return group

    def remove(self, group: Group) -> None:
        del self.groups[group.descriptor]
        self.members = {pair: None for pair in self.members if group.descriptor not in pair}

    def _begin(self, organisation: Organisation, project: str, everybody: tuple[Identity, ...]) -> None:
        names = GROUPS if project else COLLECTION_GROUPS
        made = [self.add(Group(organisation.name, project, name, told)) for name, told in names.items()]
        first, second = made[0], made[1]
        self.members |= {(one.descriptor, first.descriptor): None for one in everybody[:1]}
        self.members |= {(one.descriptor, second.descriptor): None for one in everybody}


def scope_descriptor(organisation: Organisation, project: Project) -> str:
    return f"scp.{uuid5(NAMESPACE_URL, f'scope/{project.id_in(organisation.name)}').hex}"


def project_of_scope(organisation: Organisation, descriptor: str) -> Project | None:
    held = organisation.projects
    return next((one for one in held if scope_descriptor(organisation, one) == descriptor), None)
