"""People decide in Temporal's own UI, in a real browser: what it shows of a question, and what becomes of a signal."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import FrameLocator, Page, expect

from pointsman.contracts.escalations import Decision, EscalationKind
from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.records import EscalationRow
from pointsman.contracts.work_items import WorkItemState
from pointsman.domain import decisions, story
from pointsman.temporal_server import DevServer
from tests.domain import samples
from tests.starter import browser_rig
from tests.workflows.plain_rig import PlainRig
from tests.workflows.rig import Rig
from tests.worlds import answer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

COMMENT = "Released with **2.4**: `List<int>` and List<int> cost $5, not $6 <!-- unseen --> with --force."
SHOWN = "Released with 2.4: List<int> and List<int> cost $5, not $6 <!– unseen –> with --force."  # its dashes
CLOSING = answer(COMMENT, System__State="Resolved")
PATIENCE_MS = browser_rig.STEP_SECONDS_MAX * 1000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(dev_server: DevServer) -> AsyncIterator[Page]:
    """Closed before the server stops."""
    async with browser_rig.window() as opened:
        yield opened


@asynccontextmanager
async def question(server: DevServer) -> AsyncGenerator[tuple[Rig, EscalationRow]]:
    """An item whose agent wants what a human must approve: asked, and waiting. Nothing of it is left open."""
    item = await PlainRig(await server.connect(), CLOSING).prompt()
    item.tracker.add(1, System__TeamProject=item.key.project)
    async with asyncio.timeout(browser_rig.TEST_SECONDS_MAX), item.worker():
        await item.deliver()
        try:
            yield item, await item.asked()
        finally:
            if (await item.handle.describe()).close_time is None:
                await item.handle.terminate()


@asynccontextmanager
async def page_of(window: Page, server: DevServer, workflow_id: str) -> AsyncGenerator[Page]:
    """The workflow's page, at the tab that tells its story."""
    base = f"{server.ui_url}/namespaces/default/workflows"
    client = await server.connect()
    run_id = (await client.get_workflow_handle(workflow_id).describe()).run_id
    async with browser_rig.tab(window, server.ui_url, height=1400) as tab:
        await tab.page.goto(f"{base}/{quote(workflow_id, safe='')}/{run_id}/user-metadata", wait_until="commit")
        yield tab.page


def details(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title=output]").last


def visible(text: str) -> str:
    return text.replace(story.JOINER, "").strip()


async def send(page: Page, document: str) -> None:
    """More Actions, Send a Signal, `decide`, and the input, as the documentation says."""
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_role("menuitem", name="Send a Signal").click()
    await page.get_by_role("button", name="Select a signal").click()
    await page.locator("li[role=option]:visible", has_text="decide").click()
    box = page.locator("[role=textbox]:visible")
    await box.click()
    await page.keyboard.insert_text(document)
    await box.blur()  # it is laid out anew then, and the button moves
    await page.get_by_role("button", name="Submit").click()
    await page.get_by_text("Workflow signaled").wait_for()


async def test_a_person_finds_a_question_and_decides_it(window: Page, dev_server: DevServer) -> None:
    async with question(dev_server) as (item, row), page_of(window, dev_server, row.workflow_id) as page:
        told = details(page)
        await told.get_by_role("heading", name=f"{row.id}: approval, medium").wait_for()
        await told.get_by_text("Rung 1 of 2").wait_for()
        assert await told.get_by_role("link", name="Bug 1: Login fails").get_attribute("href") == "https://ado/1"
        assert visible(await told.get_by_role("blockquote").inner_text()) == SHOWN
        suggested = await told.locator("code", has_text='{"verb"').first.inner_text()
        await send(page, suggested.replace("YOU", "ada"))
        result = await item.result()
        assert result.state is WorkItemState.DONE
        assert item.tracker.items[1].fields["System.State"] == "Resolved"
        decision = item.escalations.kept[row.id].decision
        assert decision == Decision.model_validate(
            {"verb": "approve", "by": "ada", "subject": row.escalation.subject[:12], "channel": "temporal"}
        )
        await page.reload(wait_until="commit")
        await told.get_by_text("approve by ada").wait_for()
        await page.get_by_text("Completed", exact=True).first.wait_for()


async def test_what_cannot_be_taken_is_shown_and_decides_nothing(window: Page, dev_server: DevServer) -> None:
    async with question(dev_server) as (item, row), page_of(window, dev_server, row.workflow_id) as page:
        told = details(page)
        await told.get_by_text("Rung 1 of 2").wait_for()
        await send(page, json.dumps({"verb": "aprove", "by": "ada", "subject": row.escalation.subject}))
        await item.until(lambda: item.escalations.refused)
        await page.keyboard.press("r")
        await told.get_by_text("Not taken:").wait_for()
        reason = await told.get_by_role("listitem").first.inner_text()
        assert reason.startswith("somebody: verb: Input should be 'approve', 'edit', 'reject' or 'respond'.")
        assert item.escalations.kept[row.id].decision is None
        await expect(told.get_by_text("Rung 1 of 2")).to_be_visible()


async def test_the_list_is_narrowed_down_to_what_waits(window: Page, dev_server: DevServer) -> None:
    async with question(dev_server) as (item, row), browser_rig.tab(window, dev_server.ui_url) as tab:
        query = f'WorkflowType="ResolveEscalation" AND ExecutionStatus="Running" AND Project="{item.key.project}"'
        async with asyncio.timeout(browser_rig.STEP_SECONDS_MAX):
            while not (await item.client.count_workflows(query)).count:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        await tab.page.goto(f"{dev_server.ui_url}/namespaces/default/workflows?query={quote(query)}")
        await tab.page.get_by_role("link", name=row.workflow_id).first.click()
        await tab.page.get_by_role("tab", name="Search Attributes").click()
        attributes = tab.page.locator(".cm-content", has_text="indexedFields")
        for name, value in (("Severity", "medium"), ("Agent", "triage"), ("Project", item.key.project)):
            await expect(attributes).to_contain_text(f'"{name}": "{value}"', timeout=PATIENCE_MS)


async def test_the_last_line_of_a_question_is_not_cut_off(window: Page, dev_server: DevServer) -> None:
    async with question(dev_server) as (_, row), page_of(window, dev_server, row.workflow_id) as page:
        command = details(page).locator("code").last
        await expect(command).to_contain_text("temporal workflow signal", timeout=PATIENCE_MS)
        frame = page.locator("iframe[title=output]").last
        async with asyncio.timeout(browser_rig.STEP_SECONDS_MAX):
            while True:  # the frame grows once its content is there
                inner, outer = await command.bounding_box(), await frame.bounding_box()
                assert inner is not None
                assert outer is not None
                if inner["y"] + inner["height"] <= outer["y"] + outer["height"]:
                    break
                await asyncio.sleep(0.02)


async def test_what_others_wrote_is_shown_as_it_is(window: Page, dev_server: DevServer) -> None:
    title = "Fix __init__ of *all* List<int> for $5 or $6 with --force `now` ![x](http://elsewhere.example/x.png)"
    told = story.item(
        DeliverRequest(key=samples.KEY, tenant="default", correlation_id="c-1", policy=samples.POLICY),
        Carry(facts=samples.FACTS.model_copy(update={"title": title}), state=WorkItemState.WORKING),
    )
    asked = samples.escalation(EscalationKind.APPROVAL, decisions.verbs_for(EscalationKind.APPROVAL))
    hostile = "> <b onclick=x>bold</b> ![x](http://elsewhere.example/x.png) <!-- a -->\n> ```\n> if a <b:"
    about = story.escalation("w", asked.model_copy(update={"details": hostile}), "ESC-1", 1, [], None)
    async with browser_rig.tab(window, dev_server.ui_url) as tab:
        await tab.page.goto(f"{dev_server.ui_url}/render?content={quote(told)}")
        assert await tab.page.get_by_role("heading").inner_text() == f"Bug 41: {title}"
        await tab.page.goto(f"{dev_server.ui_url}/render?content={quote(about)}")
        shown = visible(await tab.page.get_by_role("main").inner_text())
        assert "<b onclick=x>bold</b> !x <!– a –>" in shown
        assert "if a <b:" in shown
        assert "Rung 1 of" in shown
        assert [fault for fault in tab.faults if "asked for" in fault or "image" in fault] == []
