"""Lists that come in pages, each kind by its own token. A page that fails fails the list: none is ever short."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Generic, TypeVar

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.hosts import VERSION, Host
from pointsman.ports import Rejected

PAGE = 200
AnswerT = TypeVar("AnswerT", bound=Answer)
EntryT = TypeVar("EntryT")


class Listed(Answer, Generic[EntryT]):
    """A list as the service wraps it."""

    value: list[EntryT] = Field(default_factory=list)


async def each_by_header(
    connection: Connection,
    answer: type[Listed[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
) -> AsyncGenerator[EntryT]:
    """As `by_header`, one page in memory at a time. Whoever reads on after an error has not read the whole list."""
    token = ""
    while True:
        asked = {**(query or {}), **({"continuationToken": token} if token else {})}
        page, following = await connection.page(answer, "GET", path, query=asked, version=version)
        for entry in page.value:
            yield entry
        token = moved(path, token, following)
        if not token:
            return


async def each_by_skip(
    connection: Connection,
    answer: type[Listed[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
    prefix: str = "$",
) -> AsyncGenerator[EntryT]:
    """As `by_skip`, one page in memory at a time. `prefix` stands before `top` and `skip`."""
    count = 0
    last: Sequence[EntryT] = ()
    while True:
        asked: Query = {**(query or {}), f"{prefix}top": PAGE, f"{prefix}skip": count}
        page = (await connection.call(answer, "GET", path, query=asked, version=version)).value
        if page and page == last:
            raise Rejected(f"GET {path}: entries {count} and on are those before; the list does not go on", "StuckList")
        for entry in page:
            yield entry
        if len(page) < PAGE:
            return
        count, last = count + len(page), page


async def whole(
    connection: Connection,
    answer: type[Listed[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
) -> list[EntryT]:
    """A list that the service gives in one piece: it has no pages to ask for."""
    return (await connection.call(answer, "GET", path, query=query, version=version)).value


async def by_header(
    connection: Connection,
    answer: type[AnswerT],
    entries: Callable[[AnswerT], Sequence[EntryT]],
    path: str,
    query: Query | None = None,
    version: str = VERSION,
    host: Host = Host.MAIN,
) -> list[EntryT]:
    """The next page's token is in `x-ms-continuationtoken`: projects, builds, graph, policies, access lists."""
    found: list[EntryT] = []
    token = ""
    while True:
        asked = {**(query or {}), **({"continuationToken": token} if token else {})}
        page, following = await connection.page(answer, "GET", path, query=asked, version=version, host=host)
        found += entries(page)
        token = moved(path, token, following)
        if not token:
            return found


async def by_skip(
    connection: Connection,
    answer: type[AnswerT],
    entries: Callable[[AnswerT], Sequence[EntryT]],
    path: str,
    query: Query | None = None,
    skip: int = 0,
) -> list[EntryT]:
    """Pages are `$top` and `$skip`, and the last is the one that is not full: updates, revisions, teams."""
    found: list[EntryT] = []
    while True:
        asked: Query = {**(query or {}), "$top": PAGE, "$skip": skip + len(found)}
        page = entries(await connection.call(answer, "GET", path, query=asked))
        found += page
        if len(page) < PAGE:
            return found


def moved(path: str, token: str, following: str) -> str:
    """The next token.

    Raises:
        Rejected: it is the one that we come from, so the list would never end.
    """
    if following and following == token:
        raise Rejected(f"GET {path}: the list does not go on behind {token!r}; nothing of it is used", "StuckList")
    return following
