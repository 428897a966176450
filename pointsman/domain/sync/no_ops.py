"""What a proposal would write that the item says already: nobody need be asked about it, and nothing is written."""

from collections.abc import Collection, Mapping

from pointsman.contracts.base import Json
from pointsman.contracts.sync import FieldKind
from pointsman.contracts.work_items import Proposal
from pointsman.domain.echoes import alike, equal, tags_of
from pointsman.domain.sync.kinds import TAGS, kind_of
from pointsman.domain.sync.linking import is_among


def without_no_ops(
    proposal: Proposal, there: Mapping[str, Json], linked: Collection[str] = ()
) -> tuple[Proposal, tuple[str, ...]]:
    """The proposal without them, and what they were: fields by name, tags as `tag triaged`, links as `link Related 7`.

    `there` are the item's fields, and `linked` the names of its links, see `agreeing.link_name`. A link to code by the
    address of a page stays: what it leads to is not known here. Values are compared as the merge before a write
    compares them: what the service spells in another way is the same, and markup counts.
    """
    fields = {name: value for name, value in proposal.fields.items() if not _is_so(name, value, there.get(name))}
    present = tags_of(there.get(TAGS))
    tags = tuple(tag for tag in proposal.tags if tag.strip().casefold() not in present)
    gone = [name for name in proposal.fields if name not in fields]
    gone += [f"tag {tag}" for tag in proposal.tags if tag not in tags]
    links = tuple(link for link in proposal.links if not is_among(linked, link))
    gone += [f"link {link}" for link in proposal.links if link not in links]
    return proposal.model_copy(update={"fields": fields, "tags": tags, "links": links}), tuple(gone)


def _is_so(name: str, wanted: Json, here: Json) -> bool:
    match kind_of(name, wanted, here):
        case FieldKind.TAGS:
            return tags_of(wanted) == tags_of(here)
        case FieldKind.IDENTITY:
            return alike(wanted, here)
    return equal(wanted, here)
