"""Which items are linked to what: the links are the items' own, and looked up from the other end here."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Organisation
from pointsman.sandbox.azure_devops.rendering import Links
from pointsman.sandbox.azure_devops.state import World

_ARTIFACT = "ArtifactLink"


def linked_items(world: World, organisation: Organisation, uri: str) -> list[int]:
    """Items that are there and link to the URI, by id. A link makes a revision, so the look-up is kept till then."""
    kept = world.code.linked.get(organisation.name.lower())
    if kept is None or kept[0] != world.watermark:
        found: dict[str, list[int]] = {}
        for item in world.items_of(organisation).values():
            for relation in item.relations if not item.deleted else ():
                if relation.rel == _ARTIFACT:
                    found.setdefault(_key(relation.url), []).append(item.id)
        kept = world.code.linked[organisation.name.lower()] = (world.watermark, found)
    return sorted(set(kept[1].get(_key(uri), [])))


def references(world: World, links: Links, *uris: str) -> list[dict[str, Json]]:
    """The items linked to any of the URIs, as the service refers to them: their ids are texts."""
    ids = sorted({item_id for uri in uris for item_id in linked_items(world, links.organisation, uri)})
    return [{"id": str(item_id), "url": links.item(item_id)} for item_id in ids]


def commit_uri(links: Links, project: str, repository_id: str, commit_id: str) -> str:
    return f"vstfs:///Git/Commit/{links.project_id(project)}%2F{repository_id}%2F{commit_id}"


def _key(uri: str) -> str:
    return uri.lower().replace("%2f", "/")
