"""The traceability matrix: read what changed, and make rows of what is kept.

Memory grows with a page of rows, not with the project.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from pointsman.contracts.matrix import (
    CodeKind,
    CodeLink,
    Column,
    MatrixItem,
    MatrixProgress,
    MatrixRow,
    MatrixScope,
    MatrixShape,
    Role,
)
from pointsman.domain.matrix.around import BROKEN_DOWN, Around, commits_of, missing
from pointsman.domain.matrix.cells import climbed
from pointsman.domain.matrix.rows import rows
from pointsman.domain.matrix.shapes import types_of
from pointsman.ports_matrix import MatrixGraph
from starter.matrix_reading import MatrixReading

SUBJECTS_AT_ONCE = 250


async def refresh(reading: MatrixReading, scope: MatrixScope) -> AsyncGenerator[MatrixProgress]:
    """Read what changed since the last time, step by step; tells where it is after each."""
    progress = MatrixProgress()
    while not progress.done:
        progress = await reading.advance(scope, progress)
        yield progress


async def all_rows(
    graph: MatrixGraph, scope: MatrixScope, shape: MatrixShape, unknown: Iterable[Column] = ()
) -> AsyncGenerator[MatrixRow]:
    """Every row of the project, by role and then by id of its subject."""
    for role in (Role.REQUIREMENT, *(one for one in Role if one is not Role.REQUIREMENT)):
        async with aclosing(_rows_of(graph, scope, shape, role, unknown)) as found:
            async for row in found:
                yield row


async def _rows_of(
    graph: MatrixGraph, scope: MatrixScope, shape: MatrixShape, role: Role, unknown: Iterable[Column]
) -> AsyncGenerator[MatrixRow]:
    types, after = types_of(shape, role), 0
    while types:
        found = await graph.subjects(scope.organisation, scope.project, types, after, SUBJECTS_AT_ONCE)
        for row in rows(await around(graph, scope.organisation, shape, found), unknown):
            yield row
        if len(found) < SUBJECTS_AT_ONCE:
            return
        after = found[-1].id


async def around(graph: MatrixGraph, organisation: str, shape: MatrixShape, subjects: Sequence[MatrixItem]) -> Around:
    """What lies around the subjects, as far as their rows need it."""
    found = Around(shape, tuple(one.id for one in subjects))
    found.take_items(subjects)
    await _linked(graph, organisation, found)
    await _coded(graph, organisation, found)
    tests = [one for one, item in found.items.items() if shape.roles.get(item.type) is Role.TEST]
    found.outcomes.update(await graph.outcomes(organisation, tests))
    return found


async def _linked(graph: MatrixGraph, organisation: str, found: Around) -> None:
    while True:
        unknown, up, down = missing(found)
        if not (unknown or up or down):
            return
        found.take_items(await graph.items(organisation, unknown))
        # Of what is not kept nothing may be seen.
        found.take_items(MatrixItem(id=one) for one in unknown - found.items.keys())
        found.take_links(await graph.above(organisation, up))
        found.take_links(await graph.below(organisation, down))
        found.take_links(await graph.beside(organisation, down))
        found.asked_up |= up
        found.asked_down |= down


async def _coded(graph: MatrixGraph, organisation: str, found: Around) -> None:
    links: list[CodeLink] = []
    for item_id, link in await graph.code(organisation, found.lower):
        found.code.setdefault(item_id, []).append(link)
        links.append(link)
    requests = {link.name for link in links if link.kind is CodeKind.PULL_REQUEST}
    found.requests.update(await graph.requests(organisation, requests))
    for commit, build in await graph.builds_of(organisation, commits_of(found, links)):
        found.built.setdefault(commit, set()).add(build)
    builds = {link.name for link in links if link.kind is CodeKind.BUILD}.union(*found.built.values())
    found.builds.update(await graph.builds(organisation, builds))


async def serving(graph: MatrixGraph, organisation: str, commit: str) -> Sequence[int]:
    """Items that a commit serves: those that are linked to it, and those that a pull request of it is linked to."""
    requests = await graph.bringers(organisation, commit)
    found = {*await graph.holders(organisation, CodeKind.COMMIT, [commit])}
    return sorted(found | {*await graph.holders(organisation, CodeKind.PULL_REQUEST, requests)})


async def rows_for(
    graph: MatrixGraph,
    organisation: str,
    shape: MatrixShape,
    item_ids: Sequence[int],
    unknown: Iterable[Column] = (),
) -> list[MatrixRow]:
    """Rows in which these items are: of the requirements that they serve, prove or change, or that are below them."""
    top = {one for item_id in item_ids for one in await _requirements(graph, organisation, shape, item_id)}
    subjects = sorted(await graph.items(organisation, top), key=lambda one: one.id)
    return list(rows(await around(graph, organisation, shape, subjects), unknown))


async def _requirements(graph: MatrixGraph, organisation: str, shape: MatrixShape, item_id: int) -> set[int]:
    """The subjects of those rows; the item itself where it belongs to none."""
    near = await around(graph, organisation, shape, await graph.items(organisation, [item_id]))
    role = near.role(item_id)
    if role is Role.REQUIREMENT:
        return {item_id}
    if role in (Role.EPIC, Role.FEATURE):
        return await _below(graph, organisation, shape, item_id) or {item_id}
    if role is Role.WORK:
        return _first(near, [item_id]) or {item_id}
    served = [other for _, other in near.beside.get(item_id, ()) if near.role(other) in BROKEN_DOWN]
    wider = await around(graph, organisation, shape, await graph.items(organisation, served))
    return _first(wider, served) or {item_id}


def _first(near: Around, item_ids: Sequence[int]) -> set[int]:
    """For each item the requirement that it is, or that it hangs on; else the work at the top."""
    found: set[int] = set()
    for item_id in item_ids:
        chain = [one for one in (item_id, *climbed(near, item_id)) if near.role(one) in BROKEN_DOWN]
        found.add(next((one for one in chain if near.role(one) is Role.REQUIREMENT), chain[-1]))
    return found


async def _below(graph: MatrixGraph, organisation: str, shape: MatrixShape, item_id: int) -> set[int]:
    """Requirements below an epic or a feature, level by level: memory grows with what is below it."""
    found, level, seen = set[int](), {item_id}, set[int]()
    while level:
        seen |= level
        children = {one.target for one in await graph.below(organisation, level)} - seen
        kept = await graph.items(organisation, children)
        roles = {one.id: shape.roles.get(one.type) for one in kept if not one.deleted}
        found |= {one for one, role in roles.items() if role is Role.REQUIREMENT}
        level = {one for one, role in roles.items() if role in (Role.EPIC, Role.FEATURE)}
    return found
