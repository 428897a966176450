"""Lists that come in pages, each kind by its own token. A page that fails fails the list: none is ever short."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.hosts import VERSION, Host
from pointsman.ports import Rejected

PAGE = 200
AnswerT = TypeVar("AnswerT", bound=Answer)
EntryT = TypeVar("EntryT")


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
