"""What the traceability matrix asks of what was read: neighbours of some items at once, never all of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, TextClause, select, text
from sqlalchemy.orm import Session

from pointsman.contracts.base import Contract
from pointsman.contracts.matrix import (
    BuildTold,
    CodeKind,
    CodeLink,
    LinkKind,
    LinkTold,
    MatrixItem,
    MatrixMark,
    OutcomeTold,
    RequestTold,
)
from pointsman.domain.texts import clean
from pointsman.store.engine import Store
from pointsman.store.lists import Among
from pointsman.store.tables import MatrixItemRow, MatrixReading, col

REQUEST, COMMIT, BUILD = CodeKind.PULL_REQUEST.value, CodeKind.COMMIT.value, CodeKind.BUILD.value
OUTCOME = "outcome"
LIKE_MAX = 100
ToldT = TypeVar("ToldT", bound=Contract)
Row = Sequence[object]

_ITEM = "item_id, project, kind, state, title, rev, is_deleted, code_read"
_LINK = "SELECT kind, source_id, target_id FROM matrix_link WHERE organisation = :organisation AND"
_some = Among(f"SELECT {_ITEM} FROM matrix_item WHERE organisation = :organisation AND item_id {{among}}")  # noqa: S608 - columns of ours
_above = Among(f"{_LINK} kind = 'child' AND target_id {{among}}")
_below = Among(f"{_LINK} kind = 'child' AND source_id {{among}}")
_from = Among(f"{_LINK} kind <> 'child' AND source_id {{among}}")
_to = Among(f"{_LINK} kind <> 'child' AND target_id {{among}}")
_code = Among(
    "SELECT item_id, kind, name, place FROM matrix_code WHERE organisation = :organisation AND item_id {among}"
)
_proofs = Among(
    "SELECT name, body FROM matrix_proof WHERE organisation = :organisation AND kind = :kind AND name {among}"
)
_built = Among(
    "SELECT commit_id, name FROM matrix_commit WHERE organisation = :organisation AND kind = 'build' "
    "AND commit_id {among}"
)
_holders = Among(
    "SELECT DISTINCT item_id FROM matrix_code WHERE organisation = :organisation AND kind = :kind AND name {among}"
)
_bringers = text(
    "SELECT name FROM matrix_commit WHERE organisation = :organisation AND kind = 'pull_request' "
    "AND commit_id = :commit ORDER BY name"
)
_like = text(
    "SELECT commit_id FROM matrix_commit WHERE organisation = :organisation AND commit_id LIKE :begin UNION "
    "SELECT name FROM matrix_code WHERE organisation = :organisation AND kind = 'commit' "
    "AND name LIKE :begin LIMIT :most"
)
_strangers = text(
    "SELECT DISTINCT ends.id FROM (SELECT source_id AS id FROM matrix_link WHERE organisation = :organisation "
    "UNION SELECT target_id FROM matrix_link WHERE organisation = :organisation) AS ends "
    "LEFT JOIN matrix_item AS known ON known.organisation = :organisation AND known.item_id = ends.id "
    "WHERE known.item_id IS NULL ORDER BY ends.id LIMIT :most"
)
_unread = text(
    "SELECT item_id FROM matrix_item WHERE organisation = :organisation AND NOT code_read ORDER BY item_id LIMIT :most"
)
_requests_wanted = text(
    "SELECT held.name, MAX(held.place) FROM matrix_code AS held LEFT JOIN matrix_proof AS known "
    "ON known.organisation = held.organisation AND known.kind = held.kind AND known.name = held.name "
    "WHERE held.organisation = :organisation AND held.kind = 'pull_request' "
    "AND (known.name IS NULL OR NOT known.is_over) GROUP BY held.name ORDER BY held.name"
)
_builds_wanted = text(
    "SELECT held.name FROM matrix_code AS held LEFT JOIN matrix_proof AS known "
    "ON known.organisation = held.organisation AND known.kind = held.kind AND known.name = held.name "
    "WHERE held.organisation = :organisation AND held.kind = 'build' AND known.name IS NULL "
    "UNION SELECT name FROM matrix_proof WHERE organisation = :organisation AND kind = 'build' "
    "AND project = :project AND NOT is_over"
)


class MatrixLooks:
    """The half of `ports_matrix.MatrixGraph` that changes nothing. Works on a store that is open read-only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mark(self, organisation: str, project: str) -> MatrixMark | None:
        place = (organisation, project.lower())
        row = await self._store.read(lambda session: session.get(MatrixReading, place))
        return MatrixMark.model_validate_json(row.body) if row else None

    async def strangers(self, organisation: str, limit: int) -> Sequence[int]:
        return [int(str(row[0])) for row in await self._rows(_strangers, organisation=organisation, most=limit)]

    async def unread(self, organisation: str, limit: int) -> Sequence[int]:
        return [int(str(row[0])) for row in await self._rows(_unread, organisation=organisation, most=limit)]

    async def requests_wanted(self, organisation: str) -> Sequence[CodeLink]:
        found = await self._rows(_requests_wanted, organisation=organisation)
        return [CodeLink(kind=CodeKind.PULL_REQUEST, name=str(name), place=str(place)) for name, place in found]

    async def builds_wanted(self, organisation: str, project: str) -> Sequence[int]:
        found = await self._rows(_builds_wanted, organisation=organisation, project=project.lower())
        return sorted(int(str(row[0])) for row in found)

    async def subjects(
        self, organisation: str, project: str, types: Sequence[str], after: int, limit: int
    ) -> Sequence[MatrixItem]:
        row = MatrixItemRow
        query = (
            select(row)
            .where(
                col(row.organisation) == organisation,
                col(row.project) == project.lower(),
                col(row.item_id) > after,
                col(row.kind).in_(types),
                col(row.is_deleted).is_(False),
            )
            .order_by(col(row.item_id))
            .limit(limit)
        )
        return await self._store.read(lambda session: [_item_of(one) for one in session.scalars(query)])

    async def items(self, organisation: str, ids: Iterable[int]) -> Sequence[MatrixItem]:
        return [_item(row) for row in await self._among(_some, ids, organisation=organisation)]

    async def above(self, organisation: str, ids: Iterable[int]) -> Sequence[LinkTold]:
        return [_link(row) for row in await self._among(_above, ids, organisation=organisation)]

    async def below(self, organisation: str, ids: Iterable[int]) -> Sequence[LinkTold]:
        return [_link(row) for row in await self._among(_below, ids, organisation=organisation)]

    async def beside(self, organisation: str, ids: Iterable[int]) -> Sequence[LinkTold]:
        wanted = list(ids)
        found = [*await self._among(_from, wanted, organisation=organisation)]
        found += await self._among(_to, wanted, organisation=organisation)
        return list(dict.fromkeys(map(_link, found)))

    async def code(self, organisation: str, ids: Iterable[int]) -> Sequence[tuple[int, CodeLink]]:
        found = await self._among(_code, ids, organisation=organisation)
        return [
            (int(str(item)), CodeLink(kind=CodeKind(str(kind)), name=str(name), place=str(place)))
            for item, kind, name, place in found
        ]

    async def requests(self, organisation: str, names: Iterable[str]) -> Mapping[str, RequestTold | None]:
        return await self._proofs(RequestTold, organisation, REQUEST, names)

    async def builds(self, organisation: str, names: Iterable[str]) -> Mapping[str, BuildTold | None]:
        return await self._proofs(BuildTold, organisation, BUILD, names)

    async def outcomes(self, organisation: str, cases: Iterable[int]) -> Mapping[int, OutcomeTold]:
        wanted = list(cases)
        return await self._store.read(lambda session: outcomes_of(session.connection(), organisation, wanted))

    async def builds_of(self, organisation: str, commits: Iterable[str]) -> Sequence[tuple[str, str]]:
        found = await self._among(_built, [one.lower() for one in commits], organisation=organisation)
        return [(str(commit), str(name)) for commit, name in found]

    async def commits_like(self, organisation: str, begin: str) -> Sequence[str]:
        """At most a hundred. `begin` is hexadecimal, so that nothing in it is a pattern."""
        found = await self._rows(_like, organisation=organisation, begin=f"{begin.lower()}%", most=LIKE_MAX)
        return sorted({str(row[0]) for row in found})

    async def holders(self, organisation: str, kind: CodeKind, names: Iterable[str]) -> Sequence[int]:
        found = await self._among(_holders, names, organisation=organisation, kind=kind.value)
        return sorted(int(str(row[0])) for row in found)

    async def bringers(self, organisation: str, commit: str) -> Sequence[str]:
        found = await self._rows(_bringers, organisation=organisation, commit=commit.lower())
        return [str(row[0]) for row in found]

    async def _proofs(
        self, kind: type[ToldT], organisation: str, name: str, names: Iterable[str]
    ) -> dict[str, ToldT | None]:
        found = await self._among(_proofs, names, organisation=organisation, kind=name)
        return {
            str(key): kind.model_validate_json(body) if isinstance(body, str) and body else None for key, body in found
        }

    async def _among(self, asked: Among, values: Iterable[str] | Iterable[int], **others: str) -> Sequence[Row]:
        told = list(dict.fromkeys(clean(one) if isinstance(one, str) else one for one in values))
        if not told:
            return []
        return await self._store.read(lambda session: asked.run(session.connection(), told, **others))

    async def _rows(self, statement: TextClause, **values: str | int) -> Sequence[Row]:
        def look(session: Session) -> Sequence[Row]:
            return [tuple(row) for row in session.execute(statement, values)]

        return await self._store.read(look)


def outcomes_of(connection: Connection, organisation: str, cases: Sequence[int]) -> dict[int, OutcomeTold]:
    found = _proofs.run(connection, [str(case) for case in cases], organisation=organisation, kind=OUTCOME)
    return {int(name): OutcomeTold.model_validate_json(body) for name, body in found}


def _item(row: Row) -> MatrixItem:
    number, project, kind, state, title, rev, deleted, code_read = row
    return MatrixItem(
        id=int(str(number)),
        project=str(project),
        type=str(kind),
        state=str(state),
        title=str(title),
        rev=int(str(rev)),
        deleted=bool(deleted),
        code_known=bool(code_read),
    )


def _item_of(row: MatrixItemRow) -> MatrixItem:
    return _item((row.item_id, row.project, row.kind, row.state, row.title, row.rev, row.is_deleted, row.code_read))


def _link(row: Row) -> LinkTold:
    kind, source, target = row
    return LinkTold(kind=LinkKind(str(kind)), source=int(str(source)), target=int(str(target)))
