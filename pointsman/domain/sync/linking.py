"""Whether an item has a link already, and why it cannot have one."""

from collections.abc import Collection

from pointsman.contracts.tracker import LinkWrite, TrackedItem
from pointsman.contracts.work_items import ProposedLink
from pointsman.domain.artifacts import ARTIFACT_LINK
from pointsman.domain.links import CHILD, OF_CODE, OF_ITEMS, PARENT
from pointsman.domain.sync.agreeing import link_name, links_of


def name_of_write(link: LinkWrite) -> str:
    """As `link_name`, whatever the case of ids in it."""
    return link_name(link.rel, link.url).casefold()


def there_already(item: TrackedItem, link: ProposedLink | LinkWrite) -> bool:
    """Whether the item has it. A proposal names code by its page, which is known only when it was looked up."""
    return is_among(links_of(item.relations), link)


def is_among(there: Collection[str], link: ProposedLink | LinkWrite) -> bool:
    """As `there_already`, of links by their names."""
    if isinstance(link, LinkWrite):
        wanted = name_of_write(link)
    elif link.relation in OF_CODE:
        wanted = link_name(ARTIFACT_LINK, link.target).casefold()
    else:
        wanted = f"{OF_ITEMS.get(link.relation, link.relation)} {link.target}".casefold()
    return wanted in {name.casefold() for name in there}


def parent_of(item: TrackedItem) -> int:
    """The item's parent; 0 where it has none."""
    begin = f"{OF_ITEMS[PARENT]} "
    found = (name.removeprefix(begin) for name in links_of(item.relations) if name.startswith(begin))
    return next((int(number) for number in found if number.isdecimal()), 0)


def why_not(item: TrackedItem, link: ProposedLink, target: TrackedItem | None) -> str:
    """Why the service would refuse the link; empty where nothing speaks against it. An item has one parent."""
    if target is None:
        return ""
    if target.id == item.id:
        return "it leads to the work item itself"
    if target.deleted:
        return f"{target.id} is in the recycle bin"
    above, below = (target, item) if link.relation == PARENT else (item, target)
    if link.relation not in (PARENT, CHILD):
        return ""
    if parent := parent_of(below):
        return f"{below.id} has the parent {parent} already, and an item has one at most"
    return f"{below.id} is the parent of {above.id}, so it cannot be below it" if parent_of(above) == below.id else ""
