"""What the traceability matrix needs from the world, as protocols; `pointsman.ports` has the rest, and the errors."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pointsman.contracts.matrix import (
    BuildTold,
    CodeKind,
    CodeLink,
    ItemsBatch,
    LinksBatch,
    LinkTold,
    MatrixItem,
    MatrixMark,
    MatrixScope,
    OutcomeTold,
    RequestTold,
)


class MatrixSource(Protocol):
    """Azure DevOps as the matrix reads it: in bulk, and no more of each thing than a row shows."""

    async def items(self, organisation: str, project: str, token: str) -> ItemsBatch:
        """Items of the project that changed behind the token, each as it is now; deleted ones too."""

    async def links(self, organisation: str, project: str, token: str) -> LinksBatch:
        """Links between items that came or went behind the token, in order."""

    async def some(self, organisation: str, ids: Sequence[int]) -> Sequence[MatrixItem]:
        """Those of the items that we may see."""

    async def code(self, organisation: str, ids: Sequence[int]) -> Mapping[int, Sequence[CodeLink]]:
        """What each of the items says of code. One that we may not see is absent."""

    async def touched(self, organisation: str, project: str, since: datetime) -> frozenset[int]:
        """Items that are named by pull requests and commits which came since, or were closed since."""

    def requests(
        self, organisation: str, wanted: Sequence[CodeLink]
    ) -> AsyncGenerator[tuple[CodeLink, RequestTold | None]]:
        """Each of the pull requests; None for one that we may not see."""

    def builds(self, organisation: str, project: str, since: datetime | None) -> AsyncGenerator[BuildTold]:
        """Builds of the project that were queued since."""

    async def build(self, organisation: str, project: str, number: int) -> BuildTold | None: ...

    def outcomes(self, organisation: str, project: str, since: datetime | None) -> AsyncGenerator[OutcomeTold]:
        """How test cases ended: those of runs that changed since; without a moment the last of each."""


class MatrixGraph(Protocol):
    """What was read, as a graph in which ids lead to ids. Every change may be made twice."""

    async def mark(self, organisation: str, project: str) -> MatrixMark | None: ...
    async def keep_mark(self, scope: MatrixScope, mark: MatrixMark) -> None: ...

    async def keep_items(self, scope: MatrixScope, items: Sequence[MatrixItem], mark: MatrixMark) -> None:
        """Items and the mark behind them, or neither. Of an item the highest revision stays."""

    async def keep_links(self, scope: MatrixScope, links: Sequence[LinkTold], mark: MatrixMark) -> None:
        """Links and the mark behind them, or neither."""

    async def sweep(self, scope: MatrixScope, generation: int) -> int:
        """Drop items and links of the project that only an earlier reading of everything saw; returns how many."""

    async def strangers(self, organisation: str, limit: int) -> Sequence[int]:
        """Ids that links lead to or from, of which nothing is known."""

    async def keep_strangers(self, organisation: str, ids: Sequence[int], found: Sequence[MatrixItem]) -> None:
        """What was found of strangers. The others may not be seen."""

    async def touch(self, organisation: str, ids: Iterable[int]) -> None:
        """Have their links to code read again."""

    async def unread(self, organisation: str, limit: int) -> Sequence[int]:
        """Items whose links to code are to be read."""

    async def keep_code(self, organisation: str, ids: Sequence[int], found: Mapping[int, Sequence[CodeLink]]) -> None:
        """The links of these items to code, in place of those that were kept."""

    async def requests_wanted(self, organisation: str) -> Sequence[CodeLink]:
        """Pull requests that items are linked to, without those that are over and known."""

    async def keep_requests(self, organisation: str, found: Sequence[tuple[CodeLink, RequestTold | None]]) -> None: ...

    async def builds_wanted(self, organisation: str, project: str) -> Sequence[int]:
        """Builds that are not over, and those that items are linked to and of which nothing is known."""

    async def keep_builds(self, organisation: str, project: str, found: Sequence[BuildTold]) -> None: ...
    async def keep_unseen_build(self, organisation: str, project: str, number: int) -> None: ...
    async def keep_outcomes(self, organisation: str, project: str, found: Sequence[OutcomeTold]) -> None:
        """Of a test case the latest stays."""

    async def subjects(
        self, organisation: str, project: str, types: Sequence[str], after: int, limit: int
    ) -> Sequence[MatrixItem]:
        """Items of the project above `after` that stand, ascending."""

    async def items(self, organisation: str, ids: Iterable[int]) -> Sequence[MatrixItem]: ...
    async def above(self, organisation: str, ids: Iterable[int]) -> Sequence[LinkTold]:
        """Links of kind `child` that lead to these items."""

    async def below(self, organisation: str, ids: Iterable[int]) -> Sequence[LinkTold]:
        """Links of kind `child` that lead from these items."""

    async def beside(self, organisation: str, ids: Iterable[int]) -> Sequence[LinkTold]:
        """Links of other kinds with one of these items at either end."""

    async def code(self, organisation: str, ids: Iterable[int]) -> Sequence[tuple[int, CodeLink]]: ...
    async def requests(self, organisation: str, names: Iterable[str]) -> Mapping[str, RequestTold | None]:
        """None for one that we may not see; one that was not read yet is absent."""

    async def builds(self, organisation: str, names: Iterable[str]) -> Mapping[str, BuildTold | None]: ...
    async def outcomes(self, organisation: str, cases: Iterable[int]) -> Mapping[int, OutcomeTold]: ...
    async def builds_of(self, organisation: str, commits: Iterable[str]) -> Sequence[tuple[str, str]]:
        """(commit, build) for each build of one of the commits."""

    async def commits_like(self, organisation: str, begin: str) -> Sequence[str]:
        """Commits whose id begins so."""

    async def holders(self, organisation: str, kind: CodeKind, names: Iterable[str]) -> Sequence[int]:
        """Items that are linked to these."""

    async def bringers(self, organisation: str, commit: str) -> Sequence[str]:
        """Pull requests that bring the commit or were merged by it."""
