"""Our pages in a real browser, for everybody and in both schemes: the status page in words when things fail, on any
screen; the page of the matrix from a file, in both directions.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.async_api import Page, expect

from pointsman.ports import Unavailable
from pointsman.store.engine import Store
from pointsman.temporal_server import DevServer
from starter.cli.matrix import Wanted
from starter.web.services import Check, Services, Unfit
from tests.sandbox.azure import azure_devops
from tests.sandbox.traced import PROJECT, Traced, traced, traced_config
from tests.starter import browser_rig
from tests.starter.browser_rig import Tab
from tests.starter.matrix_rig import asked
from tests.starter.web_rig import Web, created, services, serving

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
AWAY = "No Temporal server answers at 127.0.0.1:7233; deliveries are kept meanwhile"
HOSTILE = "<img src='http://elsewhere.example/x'> & more"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window() -> AsyncIterator[Page]:
    async with browser_rig.window() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def given(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """A web process over a store of its own, with one delivery."""
    file = tmp_path_factory.mktemp("pages") / "pointsman.db"
    copy(migrated_file, file)
    async with Store.open(f"sqlite:///{file}") as store:
        made = services(store)
        async with serving(made) as web:
            await web.deliver(created())
        yield made


def failing(name: str, error: Exception, *, required: bool) -> Check:
    async def probe() -> str:
        raise error

    return Check(name, probe, required)


TEMPORAL = failing("temporal", Unavailable(AWAY), required=False)
SEQUENCER = failing("sequencer", Unfit(HOSTILE), required=True)
STATES = {"ready": (), "degraded": (TEMPORAL,), "unready": (TEMPORAL, SEQUENCER)}


@asynccontextmanager
async def status(window: Page, given: Services, state: str = "ready") -> AsyncGenerator[tuple[Tab, Web]]:
    """The page in that state, opened."""
    async with serving(replace(given, checks=(*given.checks, *STATES[state]))) as web:
        home = str(web.http.base_url)
        async with browser_rig.tab(window, home) as tab:
            await tab.page.goto(home)
            yield tab, web


async def without_barriers(tab: Tab) -> None:
    grounds: list[str] = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        await tab.page.emulate_media(color_scheme=scheme)
        told = await Axe().run(tab.page, options={"runOnly": list(RULES)})
        assert told.violations_count == 0, told.generate_report()
        grounds.append(await tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 25, 31)"]
    assert tab.faults == []


@pytest.mark.parametrize("state", STATES)
async def test_the_page_is_without_barriers_and_faults(window: Page, given: Services, state: str) -> None:
    async with status(window, given, state) as (tab, _):
        assert await tab.page.title() == f"Pointsman: {state}"
        await without_barriers(tab)


async def test_what_fails_is_said_in_words(window: Page, given: Services) -> None:
    async with status(window, given, "degraded") as (tab, _):
        banner = await tab.page.get_by_role("banner").inner_text()
        assert "degraded" in banner
        assert "temporal fails" in banner
        assert "Deliveries are kept" in banner
        row = await tab.page.get_by_role("row", name="temporal").inner_text()
        assert row.split("\t")[1] == "fail"
        assert AWAY in row


async def test_what_a_dependency_says_is_text_and_nothing_is_fetched(window: Page, given: Services) -> None:
    async with status(window, given, "unready") as (tab, _):
        assert HOSTILE in await tab.page.get_by_role("row", name="sequencer").inner_text()
        assert "temporal and sequencer fail" in await tab.page.get_by_role("banner").inner_text()
        assert tab.faults == []


async def test_the_keyboard_reaches_every_link_and_shows_where_it_is(window: Page, given: Services) -> None:
    async with status(window, given) as (tab, _):
        links = await tab.page.get_by_role("link").all_inner_texts()
        reached = []
        for _step in links:
            await tab.page.keyboard.press("Tab")
            focus = tab.page.locator(":focus-visible")
            reached.append(await focus.inner_text())
            assert await focus.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
        assert reached == links
        assert len(links) > 3


async def test_a_narrow_or_enlarged_page_does_not_scroll_sideways(window: Page, given: Services) -> None:
    async with status(window, given, "unready") as (tab, _):
        for width in (320, 640):
            await tab.page.set_viewport_size({"width": width, "height": 900})
            assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width


async def test_its_links_lead_where_they_say(window: Page, given: Services, dev_server: DevServer) -> None:
    async with status(window, replace(given, ui_url=dev_server.ui_url)) as (tab, web):
        page = tab.page
        for name, path in (("Readiness", "/health/ready"), ("Metrics", "/metrics"), ("Interface", "/openapi.json")):
            target = await page.get_by_role("link", name=name).get_attribute("href")
            assert target == path
            assert (await web.http.get(path)).status_code == 200
        await page.get_by_role("link", name="Temporal’s UI").click()
        await page.get_by_role("heading", level=1).wait_for()
        assert page.url.startswith(f"{dev_server.ui_url}/namespaces/default/workflows")


@asynccontextmanager
async def page_of_the_matrix(window: Page, migrated_file: Path, folder: Path) -> AsyncGenerator[tuple[Tab, Traced]]:
    """Read from the stand-in, written by the command, opened as a file."""
    copy(migrated_file, folder / "pointsman-matrix.db")
    target = folder / "matrix.html"
    async with azure_devops(of=traced_config()) as azure:
        made = await traced(azure)
        code, _, _ = await asked(azure, folder, Wanted(project=PROJECT, format="html", output=str(target)))
        assert code == 0
    async with browser_rig.tab(window, folder.as_uri()) as tab:
        await tab.page.goto(target.as_uri())
        yield tab, made


async def test_the_matrix_is_read_in_both_directions_by_keyboard_and_in_the_dark(
    window: Page, migrated_file: Path, tmp_path: Path
) -> None:
    async with page_of_the_matrix(window, migrated_file, tmp_path) as (tab, made):
        page = tab.page
        await without_barriers(tab)
        rows = page.locator("[role=region] tbody tr")
        full = rows.filter(has=page.get_by_role("rowheader", name=f"{made.ids['full']} requirement"))
        for item in ("epic", "feature", "full-task", "full-case"):
            assert await full.get_by_role("link", name=str(made.ids[item]), exact=True).count() >= 1, item
        request = page.get_by_role("listitem").filter(has_text="PR 1 completed")
        served = await rows.filter(has=request).get_by_role("rowheader").all_inner_texts()
        assert [one.partition(" ")[0] for one in served] == [str(made.ids["full"])]

        flags = rows.filter(has=page.get_by_role("rowheader", name=f"{made.ids['bare']} requirement")).locator(".flag")
        assert "gap: no feature" in await flags.all_inner_texts()
        gap = flags.filter(has_text="gap: no feature")
        assert await gap.evaluate("one => getComputedStyle(one).textDecorationLine") == "none", "no link"
        assert await gap.evaluate("one => getComputedStyle(one).color") == "rgb(255, 156, 156)", "in the dark"

        total = await rows.count()
        for name in ("Coverage by column", "Only rows with a gap", "Each requirement"):
            await page.keyboard.press("Tab")
            focus = page.locator(":focus-visible")
            assert await focus.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
            if name.startswith("Only"):
                await page.keyboard.press("Space")
                assert await rows.locator("visible=true").count() == total - 1
                await page.keyboard.press("Space")
        await expect(page.get_by_role("region", name="Each requirement")).to_be_focused()
        await page.keyboard.press("ArrowRight")
        async with asyncio.timeout(browser_rig.STEP_SECONDS_MAX):
            while not await page.evaluate("document.querySelector('[role=region]').scrollLeft"):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 1280
