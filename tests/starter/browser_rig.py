"""A real browser for tests of pages: one window for all tests of a module, on its loop, and no step can hang.

A window takes the browser two seconds of processor time, and what a page's scripts come to is known there from then on.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import ConsoleMessage, Error, Page, Request, async_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
STEP_SECONDS_MAX = 60.0
CLOSING_SECONDS_MAX = 60.0
TEST_SECONDS_MAX = 240.0
FLAGS = ("--js-flags=--no-opt,--no-maglev",)
"""Scripts here run for seconds: making them fast takes longer than they do."""


def program() -> str:
    """Path of an installed Chromium; where there is none, the tests are skipped and say what to install."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip(
            f"no browser: none of {', '.join(PROGRAMS)} is installed, for example with apt-get install chromium"
        )
    return found


@asynccontextmanager
async def window() -> AsyncGenerator[Page]:
    """Close it before the servers that its pages speak to."""
    path = program()
    driver = await async_playwright().start()
    try:
        launched = await driver.chromium.launch(executable_path=path, args=FLAGS, timeout=STEP_SECONDS_MAX * 1000)
        try:
            context = await launched.new_context(color_scheme="light", reduced_motion="reduce")
            context.set_default_timeout(STEP_SECONDS_MAX * 1000)
            yield await context.new_page()
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
        self.page.on("console", self._told)
        self.page.on("pageerror", self._failed)
        self.page.on("request", self._requested)

    def leave(self) -> None:
        self.page.remove_listener("console", self._told)
        self.page.remove_listener("pageerror", self._failed)
        self.page.remove_listener("request", self._requested)

    def _told(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._fault(message.text)

    def _failed(self, error: Error) -> None:
        self._fault(str(error))

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:")):
            self._fault(f"asked for {request.url}")

    def _fault(self, text: str) -> None:
        self.faults.append(text)


@asynccontextmanager
async def tab(window: Page, home: str, *, width: int = 1280, height: int = 900) -> AsyncGenerator[Tab]:
    """The window as a visitor finds it, for a limited time. `home` is where its requests may go."""
    async with asyncio.timeout(TEST_SECONDS_MAX):
        await window.set_viewport_size({"width": width, "height": height})
        await window.emulate_media(color_scheme="light")
        opened = Tab(window, home)
        opened.watch()
        try:
            yield opened
        finally:
            opened.leave()
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await window.goto("about:blank")
                await window.context.clear_cookies()
