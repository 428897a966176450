"""What a stream told, folded to what stands: the last word counts, and a stream that is told again changes nothing."""

from collections.abc import Iterable, Sequence

from pointsman.contracts.matrix import LinkKind, LinkTold, OutcomeTold


def settled_links(told: Iterable[LinkTold]) -> tuple[Sequence[LinkTold], Sequence[LinkTold]]:
    """Links that are there after all of these, and those that are not. Each link is in one of the two, once."""
    last: dict[tuple[LinkKind, int, int], LinkTold] = {}
    for one in told:
        link = upright(one)
        last[link.kind, link.source, link.target] = link
    return [one for one in last.values() if one.active], [one for one in last.values() if not one.active]


def upright(link: LinkTold) -> LinkTold:
    """A link without direction leads from the lower id, whichever end told it."""
    if link.kind is not LinkKind.RELATED or link.source <= link.target:
        return link
    return link.model_copy(update={"source": link.target, "target": link.source})


def latest_outcomes(told: Iterable[OutcomeTold]) -> dict[int, OutcomeTold]:
    """By test case, how it ended last. Without a moment the number of the run counts, which grows."""
    found: dict[int, OutcomeTold] = {}
    for one in told:
        found[one.case] = max(found.get(one.case, one), one, key=_age)
    return found


def _age(one: OutcomeTold) -> tuple[float, int]:
    return (one.at.timestamp() if one.at else 0.0, one.run)
