"""A real browser for tests of pages: one for all tests of a module, on the loop of the module, and no step can hang."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, Page, Request, async_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
STEP_SECONDS_MAX = 30.0
CLOSING_SECONDS_MAX = 10.0
TEST_SECONDS_MAX = 90.0


def program() -> str:
    """Path of an installed Chromium; where there is none, the tests are skipped and say what to install."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip(
            f"no browser: none of {', '.join(PROGRAMS)} is installed, for example with apt-get install chromium"
        )
    return found


@asynccontextmanager
async def browser() -> AsyncGenerator[Browser]:
    """Close it before the servers that its pages speak to."""
    path = program()
    driver = await async_playwright().start()
    try:
        launched = await driver.chromium.launch(executable_path=path, timeout=STEP_SECONDS_MAX * 1000)
        try:
            yield launched
        finally:
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await launched.close()
    finally:
        async with asyncio.timeout(CLOSING_SECONDS_MAX):
            await driver.stop()


@dataclass
class Tab:
    """One page, and what went wrong on it."""

    page: Page
    home: str
    faults: list[str] = field(default_factory=list)
    """Errors on the console (a breach of the content security policy is one), exceptions, requests to elsewhere."""

    def watch(self) -> None:
        self.page.on("console", lambda message: self._fault(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self._fault(str(error)))
        self.page.on("request", self._requested)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:")):
            self._fault(f"asked for {request.url}")

    def _fault(self, text: str) -> None:
        self.faults.append(text)


@asynccontextmanager
async def tab(launched: Browser, home: str, *, width: int = 1280, height: int = 900) -> AsyncGenerator[Tab]:
    """A tab of a visitor of its own, for a limited time. `home` is where its requests may go."""
    async with asyncio.timeout(TEST_SECONDS_MAX):
        context = await launched.new_context(
            color_scheme="light", reduced_motion="reduce", viewport={"width": width, "height": height}
        )
        try:
            context.set_default_timeout(STEP_SECONDS_MAX * 1000)
            opened = Tab(await context.new_page(), home)
            opened.watch()
            yield opened
        finally:
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await context.close()
