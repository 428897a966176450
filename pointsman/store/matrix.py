"""The traceability matrix as it was read: ids that lead to ids, in batches, each with the mark behind it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, delete, text
from sqlalchemy.orm import Session

from pointsman.contracts.matrix import (
    BuildTold,
    CodeLink,
    LinkTold,
    MatrixItem,
    MatrixMark,
    MatrixScope,
    OutcomeTold,
    RequestTold,
)
from pointsman.domain.matrix.folding import latest_outcomes, settled_links
from pointsman.domain.texts import clean
from pointsman.store.inserts import Insert
from pointsman.store.lists import Among
from pointsman.store.matrix_looks import BUILD, OUTCOME, REQUEST, MatrixLooks, outcomes_of
from pointsman.store.tables import (
    MatrixItemRow,
    MatrixLinkRow,
    MatrixReading,
    col,
    metadata,
)

T = TypeVar("T")
_TABLES = metadata.tables
_items = Insert(
    _TABLES["matrix_item"],
    (
        *("organisation", "item_id", "project", "kind", "state", "title", "rev", "is_deleted", "code_read"),
        "generation",
    ),
    then="ON CONFLICT (organisation, item_id) DO UPDATE SET project = excluded.project, kind = excluded.kind, "
    "state = excluded.state, title = excluded.title, rev = excluded.rev, is_deleted = excluded.is_deleted, "
    "code_read = excluded.code_read, generation = excluded.generation WHERE excluded.rev >= matrix_item.rev",
)
_links = Insert(
    _TABLES["matrix_link"],
    ("organisation", "source_id", "kind", "target_id", "project", "generation"),
    then="ON CONFLICT (organisation, source_id, kind, target_id) DO UPDATE SET project = excluded.project, "
    "generation = excluded.generation",
)
_code = Insert(_TABLES["matrix_code"], ("organisation", "item_id", "kind", "name", "place"), ignore_conflicts=True)
_proofs = Insert(
    _TABLES["matrix_proof"],
    ("organisation", "kind", "name", "project", "body", "is_over"),
    then="ON CONFLICT (organisation, kind, name) DO UPDATE SET project = excluded.project, body = excluded.body, "
    "is_over = excluded.is_over",
)
_commits = Insert(_TABLES["matrix_commit"], ("organisation", "commit_id", "kind", "name"), ignore_conflicts=True)
_code_gone = Among("DELETE FROM matrix_code WHERE organisation = :organisation AND item_id {among}")
_commits_gone = Among("DELETE FROM matrix_commit WHERE organisation = :organisation AND kind = :kind AND name {among}")
_code_known = Among("UPDATE matrix_item SET code_read = TRUE WHERE organisation = :organisation AND item_id {among}")
_code_asked = Among(
    "UPDATE matrix_item SET code_read = FALSE WHERE organisation = :organisation AND NOT is_deleted AND item_id {among}"
)
_linkless = text(
    "DELETE FROM matrix_code WHERE organisation = :organisation AND item_id NOT IN "
    "(SELECT item_id FROM matrix_item WHERE organisation = :organisation)"
)


class MatrixGraph(MatrixLooks):
    """`ports_matrix.MatrixGraph` over the store.

    Changes wait for no disk: what the end of a machine takes is read again, because the mark behind it goes with it.
    """

    async def keep_mark(self, scope: MatrixScope, mark: MatrixMark) -> None:
        await self._change(lambda session: _mark(session, scope, mark))

    async def keep_items(self, scope: MatrixScope, items: Sequence[MatrixItem], mark: MatrixMark) -> None:
        def change(session: Session) -> None:
            connection, organisation = session.connection(), scope.organisation
            _items.rows(connection, [_item(organisation, one, mark.generation) for one in items])
            _code_gone.run(connection, [one.id for one in items if not one.linked_to_code], organisation=organisation)
            _mark(session, scope, mark)

        await self._change(change)

    async def keep_links(self, scope: MatrixScope, links: Sequence[LinkTold], mark: MatrixMark) -> None:
        came, gone = settled_links(links)

        def change(session: Session) -> None:
            project = scope.project.lower()
            rows = [
                (scope.organisation, one.source, one.kind.value, one.target, project, mark.generation) for one in came
            ]
            _links.rows(session.connection(), rows)
            for one in gone:
                session.execute(
                    delete(MatrixLinkRow).where(
                        col(MatrixLinkRow.organisation) == scope.organisation,
                        col(MatrixLinkRow.source_id) == one.source,
                        col(MatrixLinkRow.kind) == one.kind.value,
                        col(MatrixLinkRow.target_id) == one.target,
                    )
                )
            _mark(session, scope, mark)

        await self._change(change)

    async def sweep(self, scope: MatrixScope, generation: int) -> int:
        def change(session: Session) -> int:
            gone = 0
            for row in (MatrixItemRow, MatrixLinkRow):
                found = session.execute(
                    delete(row).where(
                        col(row.organisation) == scope.organisation,
                        col(row.project) == scope.project.lower(),
                        col(row.generation) < generation,
                    )
                )
                gone += getattr(found, "rowcount", 0)
            session.execute(_linkless, {"organisation": scope.organisation})
            return gone

        return await self._change(change)

    async def keep_strangers(self, organisation: str, ids: Sequence[int], found: Sequence[MatrixItem]) -> None:
        seen = {one.id for one in found}
        hidden = [MatrixItem(id=one, linked_to_code=False) for one in ids if one not in seen]
        rows = [_item(organisation, one, 0) for one in (*found, *hidden)]
        await self._change(lambda session: _items.rows(session.connection(), rows))

    async def touch(self, organisation: str, ids: Iterable[int]) -> None:
        wanted = list(ids)
        await self._change(lambda session: _code_asked.run(session.connection(), wanted, organisation=organisation))

    async def keep_code(self, organisation: str, ids: Sequence[int], found: Mapping[int, Sequence[CodeLink]]) -> None:
        def change(session: Session) -> None:
            connection = session.connection()
            _code_gone.run(connection, ids, organisation=organisation)
            rows = [
                (organisation, item, link.kind.value, clean(link.name), clean(link.place))
                for item, links in found.items()
                for link in links
            ]
            _code.rows(connection, rows)
            _code_known.run(connection, ids, organisation=organisation)

        await self._change(change)

    async def keep_requests(self, organisation: str, found: Sequence[tuple[CodeLink, RequestTold | None]]) -> None:
        rows = [
            (
                *(organisation, REQUEST, clean(link.name), link.place.partition("/")[0].lower()),
                *((told.model_dump_json(), told.over) if told else ("", False)),
            )
            for link, told in found
        ]
        commits = [
            (organisation, clean(commit.lower()), REQUEST, clean(link.name))
            for link, told in found
            if told
            for commit in told.commits
        ]

        def change(session: Session) -> None:
            connection = session.connection()
            _proofs.rows(connection, rows)
            _commits_gone.run(connection, [link.name for link, _ in found], organisation=organisation, kind=REQUEST)
            _commits.rows(connection, commits)

        await self._change(change)

    async def keep_builds(self, organisation: str, project: str, found: Sequence[BuildTold]) -> None:
        latest = {one.id: one for one in found}.values()
        rows = [(organisation, BUILD, str(one.id), project.lower(), one.model_dump_json(), one.over) for one in latest]
        commits = [(organisation, clean(one.commit.lower()), BUILD, str(one.id)) for one in latest if one.commit]

        def change(session: Session) -> None:
            _proofs.rows(session.connection(), rows)
            _commits.rows(session.connection(), commits)

        await self._change(change)

    async def keep_unseen_build(self, organisation: str, project: str, number: int) -> None:
        row = (organisation, BUILD, str(number), project.lower(), "", False)
        await self._change(lambda session: _proofs.rows(session.connection(), [row]))

    async def keep_outcomes(self, organisation: str, project: str, found: Sequence[OutcomeTold]) -> None:
        def change(session: Session) -> None:
            connection = session.connection()
            known = outcomes_of(connection, organisation, [one.case for one in found])
            rows = [
                (organisation, OUTCOME, str(case), project.lower(), one.model_dump_json(), False)
                for case, one in latest_outcomes((*known.values(), *found)).items()
            ]
            _proofs.rows(connection, rows)

        await self._change(change)

    async def _change(self, work: Callable[[Session], T]) -> T:
        def alone(connection: Connection, _: Sequence[None]) -> Sequence[T]:
            with Session(connection, join_transaction_mode="rollback_only", expire_on_commit=False) as session:
                result = work(session)
                session.commit()
            return [result]

        return await self._store.write_each(alone, None, is_quick=True)


def _item(organisation: str, one: MatrixItem, generation: int) -> tuple[str | int | bool, ...]:
    texts = (clean(one.project.lower()), clean(one.type), clean(one.state), clean(one.title))
    code_read = one.deleted or not one.linked_to_code
    return (organisation, one.id, *texts, one.rev, one.deleted, code_read, generation)


def _mark(session: Session, scope: MatrixScope, mark: MatrixMark) -> None:
    session.merge(
        MatrixReading(
            organisation=scope.organisation,
            project=scope.project.lower(),
            tenant=scope.tenant,
            body=mark.model_dump_json(),
            at=datetime.now(UTC),
        )
    )
