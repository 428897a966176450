"""Another type, or another project: the item keeps its id and its history, and other rules hold of it."""

from pointsman.sandbox.azure_devops.documents import Document
from pointsman.sandbox.azure_devops.faults_of_service import invalid, no_project
from pointsman.sandbox.azure_devops.process import Kind
from pointsman.sandbox.azure_devops.rules import Draft
from pointsman.sandbox.azure_devops.state import Item, World


def destination(world: World, item: Item, document: Document) -> tuple[Kind, str]:
    """Type and project that the item has after the document. Refused where the project's process has no such type."""
    wanted = document.value("System.TeamProject") or item.project
    project = world.organisations[item.organisation.name.lower()].project(wanted)
    if project is None:
        raise no_project(wanted)
    name = document.value("System.WorkItemType") or item.kind.name
    if (name.lower(), project.name) == (item.kind.name.lower(), item.project):
        return item.kind, item.project
    kind = world.process_of(item.organisation, project.name).kind_named(name)
    if kind is None:
        message = f"VS402323: Work item type {name} does not exist in project {project.name} or you do not have "
        raise invalid(message + "permission to access it.", "WorkItemTypeNotFoundException", 404)
    return kind, project.name


def settle_in(draft: Draft) -> None:
    """What a move brings along before the document says otherwise; not confirmed in each detail.

    The root of the new project's areas and iterations, what the new type begins with where nothing stands yet, and
    its first state where it lacks the old one.
    """
    if not draft.moved:
        return
    if draft.project != draft.item.project:
        draft.fields |= {"System.AreaPath": draft.project, "System.IterationPath": draft.project}
    empty = {name: one.default for name, one in draft.kind.fields.items() if name not in draft.fields}
    draft.fields |= {name: value for name, value in empty.items() if value is not None}
    if draft.state not in draft.kind.states:
        draft.fields["System.State"] = draft.kind.initial
    draft.fields |= {"System.TeamProject": draft.project, "System.WorkItemType": draft.kind.name}
