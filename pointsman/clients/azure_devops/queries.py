"""WIQL without its limit: the service refuses to answer with 20,000 ids or more, so big answers are asked in slices."""

from pointsman.clients.azure_devops.answers import QueryResult
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.errors import TooManyResults
from pointsman.clients.azure_devops.names import segment
from pointsman.contracts.base import Json

RESULTS_MAX = 20_000
SLICE_FACTOR = 4  # of ids that one asks for: projects of an organisation share its numbers


class QueriesApi:
    """`results_max` is the service's limit: a slice of as many ids can never be over it."""

    def __init__(self, connection: Connection, results_max: int = RESULTS_MAX) -> None:
        self._connection = connection
        self._slice = results_max - 1

    async def ids(self, where: str, project: str = "") -> list[int]:
        """Ids of all items that meet a WIQL condition (empty: all), ascending, however many.

        One request where the answer fits; otherwise slices of ids, which grow while they find little. Items that are
        made meanwhile may be in it or not. For reports take the streams of `history` instead: they cost less.
        """
        found: list[int] = []
        low, width = 0, self._slice
        while True:
            rest = await self._between(where, project, low, None)
            if rest is not None:
                return found + rest
            part = await self._between(where, project, low, low + width)
            while part is None and width > self._slice:
                width = max(width // 2, self._slice)
                part = await self._between(where, project, low, low + width)
            assert part is not None, "a slice of fewer ids than the limit is never over it"
            found += part
            low += width
            if len(part) < self._slice // 2:
                width *= 2

    async def first(self, where: str, project: str, after: int, limit: int) -> list[int]:
        """The first ids above `after` of items that meet a WIQL condition, ascending, `limit` at most.

        One request, of which the answer has no more ids than that. A service that counts all that a query finds
        before it cuts is asked in growing slices: two requests for each.
        """
        found: list[int] = []
        low, width = after, min(SLICE_FACTOR * limit, self._slice)
        while len(found) < limit:
            rest = await self._between(where, project, low, None, limit)
            if rest is not None:
                return (found + rest)[:limit]
            part = await self._between(where, project, low, low + width)
            assert part is not None, "a slice of fewer ids than the limit is never over it"
            found += part
            low, width = low + width, min(2 * width, self._slice)
        return found[:limit]

    async def _between(
        self, where: str, project: str, low: int, high: int | None, top: int | None = None
    ) -> list[int] | None:
        """Ids above `low` up to `high`; None if they are too many for one answer."""
        bounds = [f"[System.Id] > {low}"] if low else []
        bounds += [f"[System.Id] <= {high}"] if high is not None else []
        conditions = [f"({where})"] if where else []
        # The project in the address is only what @project means: by itself it leaves nothing out.
        conditions += ["[System.TeamProject] = @project"] if project else []
        wanted = " AND ".join([*conditions, *bounds])
        clauses = ["SELECT [System.Id] FROM WorkItems", f"WHERE {wanted}" if wanted else "", "ORDER BY [System.Id]"]
        path = f"{segment(project)}/_apis/wit/wiql" if project else "_apis/wit/wiql"
        try:
            query = {"$top": top} if top is not None else None
            body: dict[str, Json] = {"query": " ".join(clauses)}
            result = await self._connection.call(QueryResult, "POST", path, query=query, body=body)
        except TooManyResults:
            return None
        return None if len(result.work_items) > self._slice else [one.id for one in result.work_items]
