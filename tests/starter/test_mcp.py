"""The work items' MCP server over a real client of a real HTTP service: it finds, reads, and changes nothing."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from mcp import Client
from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import SecretStr, TypeAdapter

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.patches import add_comment, add_relation, set_field
from pointsman.clients.mcp import Mcp
from pointsman.contracts.base import Json
from pointsman.contracts.policy import ToolServer
from pointsman.sandbox import azure_devops
from starter.mcp import NOTICE, run_http, work_items_server
from tests.clients.mcp_rig import MemoryContents
from tests.preloaded import Preloaded

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = SecretStr("service-token-0123456789")
PROJECT = "Fabrikam"
Server = MCPServer[None]
CHECKOUT = "Checkout answers 500 when the basket holds a gift card"
OBJECT: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])
OBJECTS: TypeAdapter[list[dict[str, Json]]] = TypeAdapter(list[dict[str, Json]])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncGenerator[str]:
    async with azure_devops.running(azure_devops.demo_config(SecretStr("person-token"), TOKEN)) as base:
        yield f"{base}/fabrikam"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def organisation(url: str) -> AsyncGenerator[AzureDevOps]:
    async with AzureDevOps(url, TOKEN) as client:
        yield client


@pytest.fixture
def server(organisation: AzureDevOps) -> Server:
    return work_items_server(organisation)


async def called(server: Server, tool: str, arguments: dict[str, object]) -> CallToolResult:
    """One call, over a client of its own: it must be closed by the task that opened it."""
    async with Client(server) as client:
        return await client.call_tool(tool, arguments)


async def told(server: Server, tool: str, **arguments: object) -> dict[str, Json]:
    """What the tool tells, which is the same as text and as structure, and begins with the notice."""
    result = await called(server, tool, arguments)
    assert not result.is_error, result.content
    [content] = result.content
    assert content.type == "text"
    assert json.loads(content.text) == result.structured_content
    answer = OBJECT.validate_json(content.text)
    assert next(iter(answer.values())) == NOTICE
    return answer


async def refused(server: Server, tool: str, **arguments: object) -> str:
    result = await called(server, tool, arguments)
    assert result.is_error
    [content] = result.content
    assert content.type == "text"
    return content.text


async def found(server: Server, text: str, **narrowed: object) -> list[dict[str, Json]]:
    return OBJECTS.validate_python((await told(server, "search_work_items", text=text, **narrowed))["items"])


async def test_tools_say_that_they_only_read(server: Server) -> None:
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["get_work_item", "search_work_items", "list_comments", "list_links"]
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True
        assert tool.output_schema is not None
        assert tool.description
        assert "\n  " not in tool.description
        assert all("description" in schema for schema in tool.input_schema["properties"].values())


async def test_item_is_told_with_plain_texts(server: Server, organisation: AzureDevOps) -> None:
    [first, *_] = await found(server, "gift card")
    item = OBJECT.validate_python((await told(server, "get_work_item", id=first["id"]))["item"])
    assert item["title"] == CHECKOUT
    assert item["type"] == "Bug"
    assert item["severity"] == "2 - High"
    assert item["tags"] == ["checkout", "payments", "regression"]
    assert item["created_by"] == "Ada Byron"
    assert "NullReferenceException in TaxCalculator" in str(item["repro_steps"])
    assert "<" not in str(item["repro_steps"])
    assert item["url"] == f"{organisation.base_url}/_workitems/edit/{first['id']}"


async def test_best_match_comes_first(server: Server) -> None:
    items = await found(server, "Gift card in the basket: checkout fails?")
    assert items[0]["title"] == CHECKOUT
    assert items[0]["state"] == "Closed"
    assert {"id", "title", "state", "priority", "severity", "tags", "url"} <= set(items[0])


async def test_words_of_the_texts_are_found_too(server: Server) -> None:
    assert CHECKOUT in [item["title"] for item in await found(server, "TaxCalculator")]


async def test_search_is_narrowed_by_type_state_and_number(server: Server) -> None:
    everything = await found(server, "checkout payment search basket", top=50)
    assert {item["state"] for item in everything} > {"Closed"}
    closed = await found(server, "checkout payment search basket", state="Closed", type="Bug")
    assert {(item["state"], item["type"]) for item in closed} == {("Closed", "Bug")}
    assert len(await found(server, "checkout payment search basket", top=1)) == 1


@pytest.mark.parametrize("text", ["it's '; DROP", "' OR [System.Id] > 0 OR [System.Title] CONTAINS 'x", '%_[]*"\\'])
async def test_search_text_cannot_change_the_query(server: Server, text: str) -> None:
    if any(character.isalnum() for character in text):
        await found(server, text, state="Nobody's state")
    else:
        assert "no word" in await refused(server, "search_work_items", text=text)


async def test_nothing_found_is_an_empty_list(server: Server) -> None:
    assert await found(server, "xylophone") == []


async def test_comments_come_oldest_first(server: Server, organisation: AzureDevOps) -> None:
    item = await organisation.work_items.create(PROJECT, "Bug", [set_field("System.Title", "Two comments")])
    for text in ("<p>first</p>", "<p>then &lt;b&gt;</p>"):
        await organisation.work_items.patch(item.id, [add_comment(text)])
    answer = await told(server, "list_comments", id=item.id)
    assert [comment["text"] for comment in OBJECTS.validate_python(answer["comments"])] == ["first", "then <b>"]
    assert answer["count"] == 2


async def test_links_tell_the_other_item(server: Server, organisation: AzureDevOps) -> None:
    [target] = [item for item in await found(server, "gift card") if item["title"] == CHECKOUT]
    item = await organisation.work_items.create(PROJECT, "Bug", [set_field("System.Title", "Gift vouchers break")])
    other = await organisation.work_items.get(int(str(target["id"])))
    await organisation.work_items.patch(item.id, [add_relation("System.LinkTypes.Related", other.url, "the same?")])
    [link] = OBJECTS.validate_python((await told(server, "list_links", id=item.id))["links"])
    assert link["kind"] in ("Related", "System.LinkTypes.Related")
    assert link["comment"] == "the same?"
    assert OBJECT.validate_python(link["item"])["title"] == CHECKOUT


async def test_missing_item_is_told_with_its_number(server: Server) -> None:
    assert "Work item 99999 does not exist" in await refused(server, "get_work_item", id=99_999)


@pytest.mark.parametrize("item_id", [0, -1, "x", None])
async def test_number_that_is_none_is_refused(server: Server, item_id: object) -> None:
    assert "id" in await refused(server, "get_work_item", id=item_id)


async def test_service_that_is_away_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with AzureDevOps(f"http://127.0.0.1:{port}/fabrikam", TOKEN) as nobody:
        text = await refused(work_items_server(nobody), "get_work_item", id=1)
    assert "cannot answer now, try again later" in text
    assert TOKEN.get_secret_value() not in text


async def test_other_projects_are_not_told_where_one_is_served(organisation: AzureDevOps) -> None:
    other, own = work_items_server(organisation, "Other"), work_items_server(organisation, "fabrikam")
    assert "does not belong to project 'Other'" in await refused(other, "get_work_item", id=1)
    assert (await told(own, "get_work_item", id=1))["item"]


async def test_served_over_http(organisation: AzureDevOps) -> None:
    endpoint: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run_http(work_items_server(organisation), announce=endpoint.set_result))
    async with Client(await endpoint) as client:
        result = await client.call_tool("search_work_items", {"text": "gift card"})
    assert CHECKOUT in str(result.structured_content)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@pytest.mark.slow
async def test_served_over_stdio_by_the_command_to_our_own_client(url: str, preloaded: Preloaded) -> None:
    server = ToolServer(name="work-items", command=(str(preloaded.pointsman), "mcp", "work-items"))
    env = {"POINTSMAN_AZURE_DEVOPS_URL": url, "POINTSMAN_AZURE_DEVOPS_TOKEN": TOKEN.get_secret_value()}
    box = Mcp([server], {server.name: env}, MemoryContents())
    try:
        names = [tool.name for tool in await box.definitions(["work-items/*"])]
        search = await box.call(["work-items/*"], "work-items__search_work_items", {"text": "gift card", "top": 1})
    finally:
        await box.aclose()
    assert "work-items__get_work_item" in names
    assert search.ok
    assert CHECKOUT in search.text
