"""What an MCP server over stdio writes, made readable where the SDK gives up: a line with half of a surrogate pair.

Servers in JavaScript write one whenever they cut a text in the middle of an emoji (`"\\ud83d"`). It is valid JSON that
the SDK's parser refuses, so the answer would never be heard and the call would wait for its time limit.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

from mcp.client._transport import ReadStream, TransportStreams
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from pydantic import ValidationError

from pointsman.domain.texts import read_json


@asynccontextmanager
async def mended(transport: AbstractAsyncContextManager[TransportStreams]) -> AsyncIterator[TransportStreams]:
    """The same transport; of the lines that it cannot read, those that can be mended become messages."""
    async with transport as (reading, writing):
        yield _Mended(reading), writing


class _Mended:
    def __init__(self, lines: ReadStream[SessionMessage | Exception]) -> None:
        self._lines = lines

    async def receive(self) -> SessionMessage | Exception:
        return _read(await self._lines.receive())

    async def aclose(self) -> None:
        await self._lines.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return _read(await self._lines.__anext__())

    async def __aenter__(self) -> Self:
        await self._lines.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._lines.__aexit__(kind, error, trace)


def _read(item: SessionMessage | Exception) -> SessionMessage | Exception:
    if not isinstance(item, ValidationError):
        return item
    first = item.errors(include_url=False)[0]
    if first["type"] != "json_invalid":
        return item
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_python(read_json(first["input"]), by_name=False))
    except ValueError:  # not JSON in any reading: the SDK tells whoever looks at its log
        return item
