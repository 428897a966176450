"""Links of a proposal on their way into a write: looked up, and none that is there already."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pointsman.contracts.lifecycle import ImpossibleLink
from pointsman.contracts.tracker import LinkWrite, TrackedItem
from pointsman.contracts.work_items import ProposedLink, WorkItemKey
from pointsman.domain.sync.linking import name_of_write, there_already, why_not
from pointsman.ports import Missing
from pointsman.ports_links import LinkTarget, LinkTargets


@dataclass(frozen=True)
class Wanted:
    """Links to write with the items that they lead to, and those that cannot be made."""

    targets: tuple[LinkTarget, ...] = ()
    impossible: tuple[ImpossibleLink, ...] = ()

    @property
    def writes(self) -> tuple[LinkWrite, ...]:
        return tuple(one.write for one in self.targets)


async def wanted(
    targets: LinkTargets,
    key: WorkItemKey,
    item: TrackedItem,
    links: Sequence[ProposedLink],
    leave_out: Collection[str] = (),
) -> Wanted:
    """A request or two for each link. A link that is there is no change, so what it leads to is not asked."""
    found: dict[str, LinkTarget] = {}
    impossible: list[ImpossibleLink] = []
    for link in links:
        if str(link) in leave_out or there_already(item, link):
            continue
        try:
            target = await targets.target(key, link)
        except Missing as error:
            why = f"there is no such thing, or we may not see it: {error}"
            impossible.append(ImpossibleLink(link=str(link), why=why))
            continue
        if why := why_not(item, link, target.item):
            impossible.append(ImpossibleLink(link=str(link), why=why))
        elif not there_already(item, target.write):
            found.setdefault(name_of_write(target.write), target)
    return Wanted(tuple(found.values()), tuple(impossible))
