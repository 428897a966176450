"""Lists that come in pages, each kind by its own token. A page that fails fails the list: none is ever short.

Lists by `$top` and `$skip` have no token: no page says that it is the last, and the service may give fewer entries than
it is asked for. So they end at an empty page. Lists that come back to where they were are an error.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import Generic, TypeVar

from pydantic import model_validator

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.hosts import VERSION, Host

PAGE = 200
EntryT = TypeVar("EntryT")


class Listed(Answer, Generic[EntryT]):
    """A list as the service wraps it. An answer without one is none, unless it counts no entries."""

    value: list[EntryT]

    @model_validator(mode="before")
    @classmethod
    def _none_counted(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("value") is None and data.get("count") == 0:
            return {**data, "value": []}
        return data


def _never(page: Sequence[object]) -> bool:
    return False


async def each_by_header(
    connection: Connection,
    answer: type[Listed[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
    host: Host = Host.MAIN,
) -> AsyncGenerator[EntryT]:
    """The next page's token is in `x-ms-continuationtoken`: projects, builds, graph, policies, access lists.

    One page in memory at a time. Whoever reads on after an error has not read the whole list.
    """
    token, passed = "", set[str]()
    while True:
        asked = {**(query or {}), **({"continuationToken": token} if token else {})}
        page, following = await connection.page(answer, "GET", path, query=asked, version=version, host=host)
        for entry in page.value:
            yield entry
        token = moved(path, passed, following)
        if not token:
            return
        passed.add(token)


async def each_by_skip(
    connection: Connection,
    answer: type[Listed[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
    *,
    prefix: str = "$",
    skip: int = 0,
    is_last: Callable[[Sequence[EntryT]], bool] = _never,
) -> AsyncGenerator[EntryT]:
    """Without the first `skip`: updates, revisions, teams, what is in repositories. As `each_by_header` in memory.

    `prefix` stands before `top` and `skip`. Where the entries themselves show that a page is the last, `is_last` says
    so, and saves the request for an empty one.
    """
    last: Sequence[EntryT] = ()
    while True:
        asked: Query = {**(query or {}), f"{prefix}top": PAGE, f"{prefix}skip": skip}
        page = (await connection.call(answer, "GET", path, query=asked, version=version)).value
        if page and page == last:
            raise NotWhole(f"GET {path}: entries {skip} and on are those before; the list does not go on", "StuckList")
        for entry in page:
            yield entry
        if not page or is_last(page):
            return
        skip, last = skip + len(page), page


async def whole(
    connection: Connection,
    answer: type[Listed[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
    host: Host = Host.MAIN,
) -> list[EntryT]:
    """All of a list, in memory: of one that goes on behind a token, or that the service gives in one piece."""
    return [entry async for entry in each_by_header(connection, answer, path, query, version, host)]


def moved(path: str, passed: Collection[str], following: str) -> str:
    """The next token.

    Raises:
        NotWhole: it is one that we come from, so the list would never end.
    """
    if following in passed:
        raise NotWhole(f"GET {path}: the list does not go on behind {following!r}; nothing of it is used", "StuckList")
    return following
