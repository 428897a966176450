"""Which names there are in a column: told to somebody who looked for one that nothing has."""

from collections.abc import Sequence

from sqlalchemy import select

from pointsman.store.engine import Store
from pointsman.store.tables import InboxRow, ViolationRow, col

KINDS_MAX = 1_000
_KIND, _PROJECT, _CHECK = col(InboxRow.event_type), col(ViolationRow.project), col(ViolationRow.check_id)


async def event_types(store: Store) -> Sequence[str]:
    """Of all deliveries: reads the whole inbox."""
    query = select(_KIND).distinct().order_by(_KIND).limit(KINDS_MAX)
    return await store.read(lambda session: list(session.scalars(query)))


async def projects_with_violations(store: Store) -> Sequence[str]:
    query = select(_PROJECT).distinct().order_by(_PROJECT).limit(KINDS_MAX)
    return await store.read(lambda session: list(session.scalars(query)))


async def broken_checks(store: Store) -> Sequence[str]:
    query = select(_CHECK).distinct().order_by(_CHECK).limit(KINDS_MAX)
    return await store.read(lambda session: list(session.scalars(query)))
