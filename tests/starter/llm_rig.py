"""Stand-ins of all model providers in a thread of their own, and the settings that lead to them in the environment."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from pydantic import SecretStr

from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control
from pointsman.sandbox.serving import hosting

KEY = "sk-test-7d02c41e88"


class Stage:
    """The stand-ins, while the test's own thread runs command lines."""

    def __init__(self) -> None:
        app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
        self.control: Control = app.state.control
        self.url = ""
        self._app = app
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with hosting(self._app) as self.url:
            self._ready.set()
            await self._stop.wait()

    @contextmanager
    def serving(self) -> Generator["Stage"]:
        self._thread.start()
        self._ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._loop.close()
