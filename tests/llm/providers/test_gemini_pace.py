"""Gemini's pace: nobody waits long for a connection."""

import socket
from contextlib import ExitStack
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent
from tests.llm.providers.test_gemini_transport import ask, request
from tests.llm.standin import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_connection_that_nobody_takes_is_given_up(streamed: bool) -> None:
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # who comes when the queue is full gets no answer at all
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        limit = timedelta(milliseconds=100)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with GeminiGenerateContent(SecretStr(KEY), url, connect_timeout=limit) as adapter:
            with pytest.raises(errors.ProviderConnectionError, match="ConnectionTimeoutError"):
                await ask(adapter, request(), streamed)
